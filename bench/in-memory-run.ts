import { randomBytes } from 'node:crypto'
import {
  Mailbox,
  runSign,
  type PartyIndex,
  type RoomLink,
  type SetupCache,
  type Signature,
  type Suite,
} from '@vertex/mpc'
import type { WholeKey } from './protocol.js'

/**
 * One signature by the first two parties of a key as they sign over a network: they meet, shake hands, and seal what
 * they send. Without the network.
 */
export async function runInRoom(
  suite: Suite,
  key: WholeKey,
  digest: Uint8Array,
): Promise<Signature> {
  const room = Uint8Array.from(randomBytes(16))
  const parties = [...key.shares.values()].slice(0, 2)
  const links = roomOf(parties.map(({ keygenIds, index }) => keygenIds[index - 1]!))
  const [signature] = await Promise.all(
    parties.map((share, at) =>
      runSign({
        suite,
        link: links[at]!,
        room,
        share,
        setups: heldSetups(key, share.index),
        digest,
        path: [],
      }),
    ),
  )
  return signature!
}

/** A room that all have joined already. */
function roomOf(labels: readonly Uint8Array[]): RoomLink[] {
  const boxes = labels.map(() => new Mailbox())
  return boxes.map((box, at) => {
    labels.forEach((label, other) => {
      if (other !== at) box.push({ type: 'peer', slot: other + 1, label })
    })
    return {
      slot: at + 1,
      size: labels.length,
      send: (to, bytes) => {
        boxes[to - 1]!.push({ type: 'message', from: at + 1, bytes })
      },
      receive: () => box.receive(),
      leave: () => {
        box.end('left')
      },
    }
  })
}

/** Setups that are there already, and stay. */
function heldSetups(key: WholeKey, me: PartyIndex): SetupCache {
  const changed = () => Promise.reject(new Error('a benchmark changes no setup'))
  return {
    load: (peer) => Promise.resolve(key.setups.get(me)?.get(peer)),
    save: changed,
    retire: changed,
    alive: () => true,
  }
}
