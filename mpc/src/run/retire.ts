import { ProtocolAbort, reactionTo, type AbortCode } from '../abort.js'
import type { PartyIndex } from '../party.js'
import { RunFailed, SessionMismatch } from './failures.js'
import type { SetupCache } from './setup-cache.js'

/**
 * Does work that depends on setups. When it fails in a way that retires them, they are retired before the error goes
 * any further; if that cannot be done, the error of the retiring goes instead. docs/spec/run.md, step 7
 * @param inUse the setups' ids by peer
 * @param heedsNotices whether a peer's notice that its side is dead retires ours; not while a setup is being made, for
 * then there is nothing to retire
 */
export async function retiring<T>(
  setups: SetupCache,
  inUse: ReadonlyMap<PartyIndex, Uint8Array>,
  work: () => Promise<T>,
  { heedsNotices }: { readonly heedsNotices: boolean } = { heedsNotices: true },
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const verdict = verdictOn(error, inUse, heedsNotices)
    // All at once, so that one that cannot be retired does not leave the others alive.
    const answers = await Promise.allSettled(
      verdict.map(async ({ peer, id, code, blamed }) => setups.retire(id, peer, code, blamed)),
    )
    for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
    // Another run's failed check came before: what this one's would tell must not get out as well.
    const wasDead = answers.some(
      (answer) => answer.status === 'fulfilled' && answer.value === false,
    )
    throw wasDead ? new SessionMismatch('setup') : error
  }
}

interface Retirement {
  peer: PartyIndex
  id: Uint8Array
  code: AbortCode
  blamed: boolean
}

function verdictOn(
  error: unknown,
  inUse: ReadonlyMap<PartyIndex, Uint8Array>,
  heedsNotices: boolean,
): Retirement[] {
  if (error instanceof ProtocolAbort && error.reaction === 'retire_setup') {
    // A check that proves nobody guilty may have been failed by anybody: every setup of the run goes.
    const peers = error.culprits.length > 0 ? error.culprits : [...inUse.keys()]
    const blamed = error.culprits.length > 0
    return peers.flatMap((peer) => {
      const id = inUse.get(peer)
      return id === undefined ? [] : [{ peer, id, code: error.code, blamed }]
    })
  }
  if (heedsNotices && error instanceof RunFailed && error.abort?.code !== undefined) {
    // The peer says its side of our setup is dead. It may lie, but a setup it will not use again is worth nothing.
    const { by, code } = error.abort
    const id = inUse.get(by)
    if (id !== undefined && reactionTo(code) === 'retire_setup')
      return [{ peer: by, id, code, blamed: false }]
  }
  return []
}
