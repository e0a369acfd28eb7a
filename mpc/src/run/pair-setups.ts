import type { KeyShare } from '../dkls23/key-share.js'
import { encodeScalar } from '../math/scalar.js'
import { sessionId } from '../session.js'
import { startPairSetup } from '../setup/index.js'
import type { PairSetup } from '../setup/pair-setup.js'
import type { Suite } from '../suite.js'
import type { Peer } from './peer.js'
import type { Watch } from './options.js'
import { retiring } from './retire.js'
import { playRounds } from './rounds.js'
import type { SetupCache } from './setup-cache.js'

export interface PairSetupInput {
  readonly suite: Suite
  readonly room: Uint8Array
  /** Of the key that the setup is for; its secret hedges the randomness. */
  readonly share: KeyShare
  readonly setups: SetupCache
  readonly watch?: Watch | undefined
}

/**
 * Makes a setup with one peer over its channel, under a session id of its own, from nothing that was there before, and
 * saves it once both sides have confirmed it. docs/spec/run.md, step 4
 */
export async function makePairSetup(input: PairSetupInput, peer: Peer): Promise<PairSetup> {
  const { suite, room, share, setups, watch } = input
  const { quorum, keygenIds, index: me, fingerprint, epoch } = share
  const { mine, theirs } = peer.contributions
  const iAmLower = me < peer.index
  const sid = sessionId({
    operation: 'setup',
    room,
    quorum,
    keygenIds,
    present: iAmLower ? [me, peer.index] : [peer.index, me],
    contributions: iAmLower ? [mine, theirs] : [theirs, mine],
    handshakes: [peer.handshakeHash],
    fingerprint,
    epoch,
  })
  // A setup that is still being made has no id; its session id stands for it when its failure is recorded.
  const setup = await retiring(
    setups,
    new Map([[peer.index, sid]]),
    () =>
      playRounds(
        startPairSetup({
          suite,
          sid,
          me,
          peer: peer.index,
          first: peer.iMoveFirst,
          hedgeSecret: encodeScalar(share.secret.reveal()),
        }),
        { protocol: 'setup', peers: [peer], watch },
      ),
    { heedsNotices: false },
  )
  await setups.save(peer.index, setup)
  return setup
}
