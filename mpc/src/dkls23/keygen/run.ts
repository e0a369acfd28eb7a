import { equalBytes, u8 } from '../../bytes.js'
import type { Curve } from '../../curve/curve.js'
import { Hedge } from '../../hedge.js'
import { partyIndex, quorum, type PartyIndex, type Quorum } from '../../party.js'
import type { Rng } from '../../rng.js'
import type { Suite } from '../../suite.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import { checkKeygenIds } from '../key-share.js'
import type { KeygenInput } from './input.js'

/** What all rounds of one keygen know. */
export interface KeygenRun {
  readonly suite: Suite
  readonly curve: Curve
  /** The session id, narrowed to this keygen. */
  readonly sid: Uint8Array
  readonly quorum: Quorum
  readonly me: PartyIndex
  /** All parties, ascending. */
  readonly parties: readonly PartyIndex[]
  /** All but this one, ascending. */
  readonly peers: readonly PartyIndex[]
  readonly keygenIds: readonly Uint8Array[]
  readonly identitySecret: Uint8Array
  readonly hedge: Hedge
}

/**
 * Checks the input and fixes what the run is about. docs/spec/keygen.md, step 1.1
 * @throws RangeError, InvalidKeyShare when the input is not one party's view of a keygen
 */
export function keygenRun(input: KeygenInput, rng: Rng): KeygenRun {
  const { suite, keygenIds } = input
  const { threshold, parties: n } = quorum(input.quorum.threshold, input.quorum.parties)
  const me = partyIndex(input.me)
  if (me > n) throw new RangeError('the party index is beyond the number of parties')
  if (input.sid.length !== 32) throw new RangeError('a session id has 32 bytes')
  if (keygenIds.length !== n) throw new RangeError('there must be one keygen_id for each party')
  checkKeygenIds(keygenIds)
  const ownId = suite.channel.x25519Public(input.identitySecret)
  if (!equalBytes(keygenIds[me - 1]!.subarray(1), ownId))
    throw new RangeError('the own keygen_id is not of the identity secret')

  const sid = new Transcript(tags.keygenRun)
    .add(input.sid, u8(threshold), u8(n))
    .list(keygenIds)
    .digest()
  const parties = Array.from({ length: n }, (_, i) => partyIndex(i + 1))
  return {
    suite,
    curve: suite.curve,
    sid,
    quorum: { threshold, parties: n },
    me,
    parties,
    peers: parties.filter((j) => j !== me),
    keygenIds: keygenIds.map((id) => id.slice()),
    identitySecret: input.identitySecret.slice(),
    hedge: new Hedge(rng, suite.kernel.hash, input.identitySecret, sid),
  }
}

/** With two parties a difference between them is the other's doing; with more it proves nobody guilty. */
export function onlyPeer(run: { readonly peers: readonly PartyIndex[] }): readonly PartyIndex[] {
  return run.peers.length === 1 ? run.peers : []
}

/** Values of all parties in rank order, from the peers' and the own. */
export function ranked<T>(run: KeygenRun, peers: ReadonlyMap<PartyIndex, T>, own: T): T[] {
  return run.parties.map((j) => (j === run.me ? own : peers.get(j)!))
}
