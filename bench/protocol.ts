import { randomBytes } from 'node:crypto'
import {
  createIdentity,
  portableSuite,
  partyIndex,
  quorum,
  startKeygen,
  startPairSetup,
  startSignFirst,
  startSignMany,
  startSignSecond,
  type KeyShare,
  type PairSetup,
  type PartyIndex,
  type Signature,
  type Step,
  type Suite,
} from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { runInMemory, type Traffic } from './in-memory.js'

/** A key with everything all its parties hold, as only a benchmark may have it. */
export interface WholeKey {
  readonly shares: ReadonlyMap<PartyIndex, KeyShare>
  readonly setups: ReadonlyMap<PartyIndex, ReadonlyMap<PartyIndex, PairSetup>>
}

export const suites: Readonly<Record<'native' | 'portable', () => Suite>> = {
  native: nativeSuite,
  portable: portableSuite,
}

export const emptyTraffic = (): Traffic => ({ bytes: 0, messages: 0, flights: 0 })

/** Keygen and every pairwise OT setup, all parties in this process: what a rival's DKG does. */
export function keygenWithSetups(
  suite: Suite,
  threshold: number,
  parties: number,
  traffic = { keygen: emptyTraffic(), setup: emptyTraffic() },
): WholeKey {
  const shares = keygen(suite, threshold, parties, traffic.keygen)
  const indices = [...shares.keys()]
  const setups = new Map(indices.map((index) => [index, new Map<PartyIndex, PairSetup>()]))
  for (const [position, me] of indices.entries())
    for (const peer of indices.slice(position + 1)) {
      const made = setUpPair(suite, me, peer, traffic.setup)
      setups.get(me)!.set(peer, made.get(me)!)
      setups.get(peer)!.set(me, made.get(peer)!)
    }
  return { shares, setups }
}

export function keygen(
  suite: Suite,
  threshold: number,
  parties: number,
  traffic = emptyTraffic(),
): Map<PartyIndex, KeyShare> {
  const identities = Array.from({ length: parties }, (_, at) =>
    createIdentity(suite.channel, at === 0 ? 'client' : 'vertex'),
  ).sort((a, b) => Buffer.compare(a.keygenId, b.keygenId))
  const sid = Uint8Array.from(randomBytes(32))
  const first = identities.map((identity, position): [PartyIndex, Step<KeyShare, KeyShare>] => {
    const me = partyIndex(position + 1)
    return [
      me,
      startKeygen({
        suite,
        sid,
        quorum: quorum(threshold, parties),
        me,
        keygenIds: identities.map((one) => one.keygenId),
        identitySecret: identity.secret,
      }),
    ]
  })
  return runInMemory(new Map(first), traffic)
}

export function setUpPair(
  suite: Suite,
  a: PartyIndex,
  b: PartyIndex,
  traffic = emptyTraffic(),
): Map<PartyIndex, PairSetup> {
  const common = { suite, sid: Uint8Array.from(randomBytes(32)), hedgeSecret: randomBytes(32) }
  return runInMemory(
    new Map([
      [a, startPairSetup({ ...common, me: a, peer: b, first: true })],
      [b, startPairSetup({ ...common, me: b, peer: a, first: false })],
    ]),
    traffic,
  )
}

/** One signature by the first `signers` parties of a key. */
export function sign(
  suite: Suite,
  key: WholeKey,
  signers: number,
  digest: Uint8Array,
  traffic = emptyTraffic(),
): Signature {
  const quorumOfRun = [...key.shares.keys()].slice(0, signers)
  const sid = Uint8Array.from(randomBytes(32))
  const steps = quorumOfRun.map((me, position): [PartyIndex, Step<Signature>] => {
    const input = {
      suite,
      sid,
      share: key.shares.get(me)!,
      signers: quorumOfRun,
      setups: key.setups.get(me)!,
      digest,
      path: [],
    }
    if (signers > 2) return [me, startSignMany(input)]
    return [me, position === 0 ? startSignFirst(input) : startSignSecond(input)]
  })
  return runInMemory(new Map(steps), traffic).values().next().value!
}
