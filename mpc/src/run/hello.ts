import { ProtocolAbort } from '../abort.js'
import { concatBytes, equalBytes, u8 } from '../bytes.js'
import type { PartyIndex } from '../party.js'
import { systemRng } from '../rng.js'
import { tags } from '../tags.js'
import { Transcript } from '../transcript.js'
import { SessionMismatch } from './failures.js'
import type { Meeting } from './meeting.js'

/** What the parties contributed to a run and what they all know of its channels. */
export interface Agreed {
  /** 32 bytes of each present party, ascending. */
  readonly contributions: readonly Uint8Array[]
  /** The channel's handshake hash with two parties; with more there is none that all know. */
  readonly handshakes: readonly Uint8Array[]
  /** The setups of all pairs of present parties, in the order 1-2, 1-3, …, 2-3, …; empty where none are used. */
  readonly setupIds: readonly Uint8Array[]
  /** Hash of all hellos, with three parties and more. */
  readonly view: Uint8Array | undefined
}

/**
 * Fixes what goes into the session id. Two parties need no further message: their ephemeral keys are their
 * contributions. More exchange one hello each: 32 random bytes and the ids of the own setups. docs/spec/run.md, step 5
 */
export async function exchangeHellos(
  meeting: Meeting,
  me: PartyIndex,
  setups?: ReadonlyMap<PartyIndex, { readonly id: Uint8Array }>,
): Promise<Agreed> {
  const { peers, present } = meeting
  const [only] = peers
  if (peers.length === 1 && only !== undefined) {
    const { mine, theirs } = only.contributions
    return {
      contributions: me < only.index ? [mine, theirs] : [theirs, mine],
      handshakes: [only.handshakeHash],
      setupIds: setups === undefined ? [] : [setups.get(only.index)!.id],
      view: undefined,
    }
  }

  const ids = setups === undefined ? [] : peers.map((peer) => setups.get(peer.index)!.id)
  const own = concatBytes(systemRng(32), ...ids)
  for (const peer of peers) peer.send('hello', 1, own)
  const hellos = new Map<PartyIndex, Uint8Array>([[me, own]])
  const received = await Promise.all(peers.map((peer) => peer.receive('hello', 1, 0)))
  peers.forEach((peer, at) => {
    const hello = received[at]!
    if (hello.length !== own.length) throw new ProtocolAbort('message_invalid', 0, [peer.index])
    hellos.set(peer.index, hello)
  })

  const inOrder = present.map((index) => hellos.get(index)!)
  return {
    contributions: inOrder.map((hello) => hello.subarray(0, 32)),
    handshakes: [],
    setupIds: setups === undefined ? [] : pairIds(present, me, inOrder),
    view: new Transcript(tags.runView).list(present.map(u8)).list(inOrder).digest(),
  }
}

/** One id for each pair, as both of the pair name it. */
function pairIds(
  present: readonly PartyIndex[],
  me: PartyIndex,
  hellos: readonly Uint8Array[],
): Uint8Array[] {
  /** What the party at `of` says is its setup with the party at `with_`: its own place is left out of its list. */
  const named = (of: number, with_: number) => {
    const at = 32 * (1 + (with_ < of ? with_ : with_ - 1))
    return hellos[of]!.subarray(at, at + 32)
  }
  const ids: Uint8Array[] = []
  for (let i = 0; i < present.length; i++)
    for (let j = i + 1; j < present.length; j++) {
      if (!equalBytes(named(i, j), named(j, i))) {
        if (present[i] === me || present[j] === me) throw new SessionMismatch('setup')
        throw new ProtocolAbort('view_mismatch', 0)
      }
      ids.push(named(i, j))
    }
  return ids
}
