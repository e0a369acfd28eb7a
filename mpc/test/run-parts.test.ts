import { describe, expect, it } from 'vitest'
import {
  concatBytes,
  equalBytes,
  MAX_BATCH,
  partyIndex,
  type AbortCode,
  type PartyIndex,
  type Step,
} from '@vertex/mpc'
import { nodeChannelCrypto } from '../native/channel.js'
import type { Established } from '../src/channel/noise.js'
import { Transport } from '../src/channel/transport.js'
import { PRODUCT_BYTES } from '../src/dkls23/sign/multiply.js'
import { systemRng } from '../src/rng.js'
import { round } from '../src/round.js'
import { RunFailed } from '../src/run/failures.js'
import { exchangeHellos } from '../src/run/hello.js'
import type { Meeting } from '../src/run/meeting.js'
import { compareOffers, encodeOffer, noSetup, OFFER_BYTES, type Offer } from '../src/run/offer.js'
import { bytesAhead, Peer } from '../src/run/peer.js'
import { playRounds } from '../src/run/rounds.js'
import {
  decodeAbort,
  decodeMessage,
  encodeAbort,
  encodeMessage,
  inParts,
  MOST_PARTS,
  PART_BYTES,
} from '../src/run/wire.js'
import { VOLE_MESSAGE_BYTES } from '../src/vole/index.js'

const p = partyIndex
const randomBytes = (length: number) => systemRng(length)

/** Two ends of one channel, without a room between them. */
function pair(a: number, b: number, most = bytesAhead(MAX_BATCH)): [Peer, Peer] {
  const keys = [randomBytes(32), randomBytes(32)] as const
  const hash = randomBytes(32)
  const contributions = { initiator: randomBytes(32), responder: randomBytes(32) }
  const end = (mine: number): Established => {
    const [send, receive] = [keys[mine]!, keys[1 - mine]!]
    return {
      handshakeHash: hash,
      contributions,
      transport: new Transport(nodeChannelCrypto, send.slice(), receive.slice()),
    }
  }
  const party = (index: number) => ({ index: p(index), keygenId: new Uint8Array(33) })
  const none = new Uint8Array(0)
  const one: Peer = new Peer(party(b), true, true, end(0), none, most, (bytes) => {
    other.deliver(bytes)
  })
  const other: Peer = new Peer(party(a), false, true, end(1), none, most, (bytes) => {
    one.deliver(bytes)
  })
  return [one, other]
}

describe('a peer', () => {
  it('is to blame for a message of another protocol, out of turn, or without a head', async () => {
    for (const send of [
      (from: Peer) => {
        from.send('keygen', 1, new Uint8Array(0))
      },
      (from: Peer) => {
        from.send('sign', 2, new Uint8Array(0))
      },
      (from: Peer) => {
        from.sendRaw(Uint8Array.of(4))
      },
    ]) {
      const [here, there] = pair(1, 2)
      send(there)
      await expect(here.receive('sign', 1, 3)).rejects.toMatchObject({
        code: 'message_invalid',
        round: 3,
        culprits: [2],
      })
    }
  })

  it('is to blame when it sends more than anybody could be ahead', async () => {
    const [here, there] = pair(1, 2)
    for (let i = 1; i <= 17; i++) there.send('sign', i, new Uint8Array(0))
    for (let i = 1; i <= 16; i++) await here.receive('sign', i, 1)
    await expect(here.receive('sign', 17, 1)).rejects.toMatchObject({
      code: 'message_invalid',
      culprits: [2],
    })
  })

  it('is to blame when it makes us hold more bytes than the run can need', async () => {
    const most = bytesAhead(1)
    const [here, there] = pair(1, 2, most)
    const half = new Uint8Array(most / 2 - 2)
    for (let i = 1; i <= 4; i++) {
      if (i > 2) expect(await here.receive('sign', i - 2, 1)).toHaveLength(half.length)
      there.send('sign', i, half)
    }
    there.send('sign', 5, new Uint8Array(0))
    for (let i = 3; i <= 4; i++) expect(await here.receive('sign', i, 1)).toHaveLength(half.length)
    await expect(here.receive('sign', 5, 1)).rejects.toMatchObject({
      code: 'message_invalid',
      culprits: [2],
    })
  })

  it.each([
    [1, 1],
    [2, 1],
    [6, 2],
    [17, 5],
    [32, MOST_PARTS],
  ])('may send what %i signatures need, in up to %i parts', async (signatures, most) => {
    const fullPiece = new Uint8Array(PART_BYTES)
    const longestFlight = VOLE_MESSAGE_BYTES + PRODUCT_BYTES + 100
    expect(bytesAhead(signatures)).toBeGreaterThan(signatures * longestFlight + 13_000)
    for (const parts of [most, most + 1].filter((count) => count > 1)) {
      const [here, there] = pair(1, 2, bytesAhead(signatures))
      const receiving = here.receive('sign', 1, 3)
      there.sendRaw(concatBytes(encodeMessage('part', 1, Uint8Array.of(parts)), fullPiece))
      there.sendRaw(encodeAbort(undefined))
      // Refused from the first part on, or waited for until the notice.
      const error = parts > most ? { code: 'message_invalid' } : { reason: 'peer_aborted' }
      await expect(receiving).rejects.toMatchObject(error)
    }
  })

  it('still gives what it sent before the room ended, and is then the one missed', async () => {
    const [here, there] = pair(1, 2)
    there.send('sign', 1, Uint8Array.of(1))
    here.end(new RunFailed('room_timeout'))
    expect(await here.receive('sign', 1, 1)).toEqual(Uint8Array.of(1))
    await expect(here.receive('sign', 2, 1)).rejects.toMatchObject({
      reason: 'room_timeout',
      missing: [{ index: 2 }],
    })
  })

  it('says with which check it gave up, and nothing else', async () => {
    const codes: AbortCode[] = ['ot_check_failed', 'view_mismatch', 'signature_invalid']
    for (const code of codes) {
      const [here, there] = pair(1, 2)
      const notice = encodeAbort({ code, round: 2 })
      expect(notice).toHaveLength(4)
      there.sendRaw(notice)
      await expect(here.receive('sign', 1, 1)).rejects.toMatchObject({
        reason: 'peer_aborted',
        abort: { by: 2, code, round: 2 },
      })
    }
    expect(decodeAbort(Uint8Array.of(200, 1))).toEqual({ code: undefined, round: 1 })
    expect(decodeAbort(new Uint8Array(0))).toEqual({ code: undefined, round: 0 })
    expect(decodeMessage(new Uint8Array(1))).toBeUndefined()
  })
})

describe('a message that is too long for one frame', () => {
  const long = (length: number) => new Uint8Array(length).map((_, at) => at % 251)
  const headless = (parts: number, more = 0) => long((parts - 1) * PART_BYTES - 2 + more)

  it.each([
    [1, headless(2)],
    [2, headless(2, 1)],
    [2, headless(3)],
    [MOST_PARTS, headless(MOST_PARTS + 1)],
  ])('travels in %i parts', async (parts, payload) => {
    const [here, there] = pair(1, 2)
    expect(inParts(encodeMessage('sign', 1, payload))).toHaveLength(parts)
    there.send('sign', 1, payload)
    there.send('sign', 2, Uint8Array.of(7))
    expect(equalBytes(await here.receive('sign', 1, 1), payload)).toBe(true)
    expect(await here.receive('sign', 2, 1)).toEqual(Uint8Array.of(7))
  })

  it('is not sent when it is longer than parts allow', () => {
    const [, there] = pair(1, 2)
    expect(() => {
      there.send('sign', 1, headless(MOST_PARTS + 1, 1))
    }).toThrow(RangeError)
  })

  const part = (number: number, count: number, piece: Uint8Array) =>
    encodeMessage('part', number, concatBytes(Uint8Array.of(count), piece))
  const full = (number: number, count: number) => part(number, count, long(PART_BYTES))
  const whole = inParts(encodeMessage('sign', 1, headless(3)))

  it.each([
    ['begins with its second part', [full(2, 3)]],
    ['says it has one part', [full(1, 1)]],
    ['says it has no parts', [full(1, 0), full(1, 0)]],
    ['says it has too many parts', [full(1, MOST_PARTS + 1)]],
    ['has nothing at all in its head', [encodeMessage('part', 1, new Uint8Array(0))]],
    ['has a part twice', [full(1, 3), full(1, 3)]],
    ['leaves out a part', [full(1, 3), full(3, 3)]],
    ['changes its count', [full(1, 3), full(2, 4)]],
    ['has a short part before its last', [part(1, 2, long(PART_BYTES - 1)), full(2, 2)]],
    ['has a part that is too long', [part(1, 2, long(PART_BYTES + 1))]],
    ['has a last part that is too long', [full(1, 2), part(2, 2, long(PART_BYTES + 1))]],
    ['has an empty last part', [full(1, 2), part(2, 2, new Uint8Array(0))]],
    ['is broken off by another', [full(1, 2), encodeMessage('sign', 1, long(8))]],
    ['has parts of parts', inParts(concatBytes(full(1, 2), long(64)))],
    ['has more parts than it says', [whole[0]!, whole[1]!, full(1, 2), whole[0]!]],
  ])('is the fault of the peer when it %s', async (_, messages) => {
    const [here, there] = pair(1, 2)
    for (const message of messages) there.sendRaw(message)
    const reading = (async () => {
      await here.receive('sign', 1, 3)
      await here.receive('sign', 2, 3)
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'message_invalid',
      round: 3,
      culprits: [2],
    })
  })

  it('gives way to a notice between its parts, and to the end of the room', async () => {
    const [here, there] = pair(1, 2)
    there.sendRaw(full(1, 3))
    there.sendRaw(encodeAbort({ code: 'ot_check_failed', round: 2 }))
    await expect(here.receive('sign', 1, 1)).rejects.toMatchObject({
      reason: 'peer_aborted',
      abort: { code: 'ot_check_failed' },
    })
    there.sendRaw(full(1, 3))
    here.end(new RunFailed('room_timeout'))
    await expect(here.receive('sign', 1, 1)).rejects.toMatchObject({
      reason: 'room_timeout',
      missing: [{ index: 2 }],
    })
  })

  it('counts each part among what a peer may be ahead', async () => {
    const [here, there] = pair(1, 2)
    for (let at = 0; at < 17; at++) there.sendRaw(full(1, 2))
    for (let at = 0; at < 8; at++)
      await expect(here.receive('sign', 1, 1)).rejects.toMatchObject({ code: 'message_invalid' })
    await expect(here.receive('sign', 1, 4)).rejects.toMatchObject({ culprits: [2] })
  })
})

/** A meeting of parties 1, 2 and 3 as party 1 sees it, and the other ends of its channels. */
function company() {
  const [to2, from2] = pair(1, 2)
  const [to3, from3] = pair(1, 3)
  const meeting = { peers: [to2, to3], present: [p(1), p(2), p(3)] } as unknown as Meeting
  return { meeting, from2, from3 }
}

describe('the hellos of three', () => {
  const ids = [randomBytes(32), randomBytes(32), randomBytes(32)] as const
  const [id12, id13, id23] = ids
  const setups = new Map<PartyIndex, { id: Uint8Array }>([
    [p(2), { id: id12 }],
    [p(3), { id: id13 }],
  ])
  const hello = (...named: Uint8Array[]) => concatBytes(randomBytes(32), ...named)

  it('fix contributions, the ids of all setups and one view', async () => {
    const { meeting, from2, from3 } = company()
    const [two, three] = [hello(id12, id23), hello(id13, id23)]
    const agreeing = exchangeHellos(meeting, p(1), setups)
    from2.send('hello', 1, two)
    from3.send('hello', 1, three)
    const agreed = await agreeing
    expect(agreed.setupIds).toEqual(ids)
    expect(agreed.contributions.slice(1)).toEqual([two.subarray(0, 32), three.subarray(0, 32)])
    expect(agreed.handshakes).toEqual([])
    expect(agreed.view).toHaveLength(32)
    const mine = await from2.receive('hello', 1, 0)
    expect(mine).toEqual(await from3.receive('hello', 1, 0))
    expect(mine.subarray(0, 32)).toEqual(agreed.contributions[0])
    expect(mine.subarray(32)).toEqual(concatBytes(id12, id13))
  })

  it.each([
    ['a setup with us that is not ours', hello(id23, id23), hello(id13, id23), { field: 'setup' }],
    [
      'setups with each other that differ',
      hello(id12, id13),
      hello(id13, id23),
      { code: 'view_mismatch', culprits: [] },
    ],
    ['too little', hello(id12), hello(id13, id23), { code: 'message_invalid', culprits: [2] }],
    [
      'too much',
      hello(id12, id23, id23),
      hello(id13, id23),
      { code: 'message_invalid', culprits: [2] },
    ],
  ])('end the run when they name %s', async (_, two, three, error) => {
    const { meeting, from2, from3 } = company()
    const agreeing = exchangeHellos(meeting, p(1), setups)
    from2.send('hello', 1, two)
    from3.send('hello', 1, three)
    await expect(agreeing).rejects.toMatchObject(error)
  })
})

describe('playing rounds', () => {
  const start = (): Step<string> => ({
    outbox: new Map([
      [p(2), Uint8Array.of(12)],
      [p(3), Uint8Array.of(13)],
    ]),
    next: round(1, [p(2), p(3)], {}, (_, inbox) => ({
      outbox: new Map(),
      result: [...inbox].map(([from, [byte]]) => `${from}:${byte}`).join(),
    })),
  })
  const view = randomBytes(32)

  it('puts the view in front of the first message and takes it off again', async () => {
    const { meeting, from2, from3 } = company()
    const playing = playRounds(start(), { protocol: 'sign', peers: meeting.peers, view })
    from2.send('sign', 1, concatBytes(view, Uint8Array.of(2)))
    from3.send('sign', 1, concatBytes(view, Uint8Array.of(3)))
    expect(await playing).toBe('2:2,3:3')
    expect(await from3.receive('sign', 1, 1)).toEqual(concatBytes(view, Uint8Array.of(13)))
  })

  it('ends without blame, and before a message is looked at, when a view differs', async () => {
    for (const other of [randomBytes(32), new Uint8Array(0), view.subarray(0, 31)]) {
      const { meeting, from2, from3 } = company()
      const playing = playRounds(start(), { protocol: 'sign', peers: meeting.peers, view })
      from2.send('sign', 1, concatBytes(view, Uint8Array.of(2)))
      from3.send('sign', 1, other)
      await expect(playing).rejects.toMatchObject({ code: 'view_mismatch', round: 1, culprits: [] })
    }
  })

  it('works on nothing once it must not', async () => {
    const { meeting, from2, from3 } = company()
    let asked = 0
    let worked = false
    const step: Step<string> = {
      outbox: new Map([[p(2), Uint8Array.of(12)]]),
      next: round(1, [p(2), p(3)], {}, () => {
        worked = true
        return { outbox: new Map(), result: '' }
      }),
    }
    const before = () => (++asked > 1 ? Promise.reject(new Error('dead')) : Promise.resolve())
    const playing = playRounds(step, { protocol: 'sign', peers: meeting.peers, before })
    from2.send('sign', 1, Uint8Array.of(2))
    from3.send('sign', 1, Uint8Array.of(3))
    await expect(playing).rejects.toThrow('dead')
    expect(worked).toBe(false)
  })

  it('sends nothing once it must not', async () => {
    const { meeting, from2 } = company()
    const before = () => Promise.reject(new Error('dead'))
    await expect(
      playRounds(start(), { protocol: 'sign', peers: meeting.peers, view, before }),
    ).rejects.toThrow('dead')
    from2.end(new RunFailed('left'))
    await expect(from2.receive('sign', 1, 1)).rejects.toMatchObject({ reason: 'left' })
  })
})

describe('offers', () => {
  const offer: Offer = {
    operation: 'sign',
    fingerprint: new Uint8Array(32).fill(1),
    epoch: 3,
    quorum: { threshold: 2, parties: 3 },
    roomSize: 2,
    path: [1, 2],
    digest: new Uint8Array(32).fill(2),
    setupId: new Uint8Array(32).fill(3),
  }
  const mine = encodeOffer(offer)
  const compare = (change: Partial<Offer>) => () =>
    compareOffers(mine, encodeOffer({ ...offer, ...change }), p(2))

  it('are of one length and agree with themselves', () => {
    expect(mine).toHaveLength(OFFER_BYTES)
    expect(compareOffers(mine, mine, p(2))).toBe(true)
  })

  it.each([
    ['operation', { operation: 'keygen' }],
    ['key', { fingerprint: new Uint8Array(32) }],
    ['epoch', { epoch: 4 }],
    ['threshold', { quorum: { threshold: 3, parties: 3 } }],
    ['parties', { quorum: { threshold: 2, parties: 4 } }],
    ['room size', { roomSize: 3 }],
    ['derivation path', { path: [2, 1] }],
    ['digest', { digest: new Uint8Array(32) }],
  ] as const)('that differ in the %s say so', (field, change) => {
    expect(compare(change)).toThrow(`differ in the ${field}`)
  })

  it('of another version say so, whatever their length', () => {
    for (const theirs of [Uint8Array.of(9), new Uint8Array(200).fill(9), new Uint8Array(0)])
      expect(() => compareOffers(mine, theirs, p(2))).toThrow('differ in the version')
  })

  it('of a wrong length are the fault of the peer', () => {
    const abort = { code: 'message_invalid', culprits: [2] }
    for (const theirs of [mine.subarray(1, 1), mine.subarray(0, 136), concatBytes(mine, mine)])
      if (theirs.length > 0) {
        let thrown: unknown
        try {
          compareOffers(mine, theirs, p(2))
        } catch (error) {
          thrown = error
        }
        expect(thrown).toMatchObject(abort)
      }
  })

  it('agree on a setup only when both name the same one', () => {
    expect(compare({ setupId: new Uint8Array(32).fill(4) })()).toBe(false)
    expect(compare({ setupId: noSetup })()).toBe(false)
    const none = encodeOffer({ ...offer, setupId: noSetup })
    expect(compareOffers(none, none, p(2))).toBe(false)
  })
})
