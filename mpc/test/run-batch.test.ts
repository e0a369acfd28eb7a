import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  concatBytes,
  derivePublicKey,
  MAX_BATCH,
  ProtocolAbort,
  RunFailed,
  SessionMismatch,
  type PartyIndex,
  type Signable,
  type Signature,
  type SignBatchRun,
  type SignRun,
  type Suite,
} from '@vertex/mpc'
import { OFFER_BYTES } from '../src/run/offer.js'
import { PART_BYTES, protocols } from '../src/run/wire.js'
import { flight2, flight3, round1 } from './support/layout.js'
import { native, readyKey, type Key } from './support/parties.js'
import {
  errorsOf,
  hex,
  MemoryRoom,
  MemorySetups,
  resultsOf,
  signBatchIn,
  signIn,
} from './support/room.js'
import { verifiesDigest } from './support/verify.js'

let two: Key
let three: Key
beforeAll(() => {
  two = readyKey(2, 2)
  three = readyKey(2, 3)
})

const p = (index: number) => index as PartyIndex

function batchOf(size: number): Signable[] {
  const paths = [[], [0, 7], [1], []]
  return Array.from({ length: size }, (_, at) => ({
    digest: randomBytes(32),
    path: paths[at % paths.length]!,
  }))
}

function expectSigned(
  key: Key,
  batch: readonly Signable[],
  [first, ...others]: readonly Signature[][],
): void {
  const { publicKey, chainCode } = key.shares[0]!
  expect(first).toHaveLength(batch.length)
  first!.forEach((signature, at) => {
    const { digest, path } = batch[at]!
    const child = derivePublicKey(native.curve, publicKey, chainCode, path).publicKey
    expect(verifiesDigest(signature, digest, child)).toBe(true)
  })
  for (const other of others) expect(other).toEqual(first)
}

const setupsOf = (key: Key) =>
  key.shares.map(({ index }) => new MemorySetups(key.setups.get(index)))
const withSetups = (setups: readonly MemorySetups[]) =>
  setups.map((of, at) => ({ index: at + 1, setups: of }))

describe('a batch of two signers', () => {
  it('takes six messages as long as each fits one frame', async () => {
    const room = new MemoryRoom(2)
    const setups = setupsOf(two)
    const batch = batchOf(4)
    expectSigned(two, batch, resultsOf(await signBatchIn(room, two, withSetups(setups), batch)))
    expect(room.passed.map(({ from }) => from)).toEqual([1, 2, 1, 2, 1, 2])
    expect(setups.map(({ saves, retired }) => [saves, retired])).toEqual([
      [0, []],
      [0, []],
    ])
  })

  it.each([16, MAX_BATCH])('of %i sends what is too long in parts', async (size) => {
    const room = new MemoryRoom(2)
    const batch = batchOf(size)
    const signers = [{ index: 1 }, { index: 2 }]
    expectSigned(two, batch, resultsOf(await signBatchIn(room, two, signers, batch)))
    const parts = (each: number) => Math.ceil((2 + size * each) / PART_BYTES)
    const [flight2Parts, flight3Parts] = [parts(flight2.end), parts(flight3.w + 32)]
    expect(flight2Parts).toBeGreaterThan(1)
    expect(room.passed).toHaveLength(2 + parts(round1.end) + flight2Parts + flight3Parts + 1)
    for (const { bytes } of room.passed) expect(bytes.length).toBeLessThanOrEqual(256 * 1024)
  })

  it('asks whether the setup is alive once for each message, not for each signature', async () => {
    const setups = setupsOf(two)
    resultsOf(await signBatchIn(new MemoryRoom(2), two, withSetups(setups), batchOf(8)))
    const id = hex(two.setups.get(p(1))!.get(p(2))!.id)
    expect(setups.map(({ asked }) => asked)).toEqual([Array(4).fill(id), Array(4).fill(id)])
  })

  it('makes the setup that is missing in the same room, once', async () => {
    const setups = [new MemorySetups(), new MemorySetups()]
    const batch = batchOf(3)
    const outcomes = await signBatchIn(new MemoryRoom(2), two, withSetups(setups), batch)
    expectSigned(two, batch, resultsOf(outcomes))
    expect(setups.map(({ saves }) => saves)).toEqual([1, 1])
  })

  it('of one is a signature alone, also to a party that signs alone', async () => {
    const [only] = batchOf(1)
    const room = new MemoryRoom(2)
    const [[batch], [alone]] = await Promise.all([
      signBatchIn(room, two, [{ index: 1 }], [only!]),
      signIn(room, two, [{ index: 2 }], only!.digest),
    ])
    expectSigned(two, [only!], [resultsOf([batch!])[0]!, resultsOf([alone!])])
  })

  it('has 1 to 32 signatures of 32 bytes each', async () => {
    const bad = [[], batchOf(MAX_BATCH + 1), [...batchOf(2), { digest: randomBytes(31), path: [] }]]
    for (const batch of bad) {
      const [error] = errorsOf(await signBatchIn(new MemoryRoom(2), two, [{ index: 1 }], batch))
      expect(error).toBeInstanceOf(RangeError)
    }
  })
})

describe('a batch of a 2-of-3 key', () => {
  it.each([
    [[1, 2, 3], 1],
    [[1, 2, 3], 16],
    [[1, 3], 16],
    [[2, 3], 3],
  ])('is signed by %j: %i', async (signers, size) => {
    const batch = batchOf(size)
    const room = new MemoryRoom(signers.length)
    const parties = signers.map((index) => ({ index }))
    expectSigned(three, batch, resultsOf(await signBatchIn(room, three, parties, batch)))
  })

  it('of 32 is signed by all three', async () => {
    const batch = batchOf(MAX_BATCH)
    const parties = [{ index: 1 }, { index: 2 }, { index: 3 }]
    const outcomes = await signBatchIn(new MemoryRoom(3), three, parties, batch)
    expectSigned(three, batch, resultsOf(outcomes))
  })
})

describe('parties that do not mean the same batch', () => {
  const batch = batchOf(3)
  const [a, b, c] = batch as [Signable, Signable, Signable]
  it.each([
    ['another order', [b, a, c]],
    ['another digest', [a, { ...b, digest: randomBytes(32) }, c]],
    ['another path', [a, b, { ...c, path: [2] }]],
    ['one less', [a, b]],
    ['one more', [a, b, c, a]],
  ])('part without blame: %s', async (_, other) => {
    for (const index of [1, 2]) {
      const setups = setupsOf(two)
      const signers = withSetups(setups).map((signer) => ({
        ...signer,
        change: (run: SignBatchRun) => (signer.index === index ? { ...run, batch: other } : run),
      }))
      for (const error of errorsOf(await signBatchIn(new MemoryRoom(2), two, signers, batch))) {
        expect(error).toBeInstanceOf(SessionMismatch)
        expect(error).toMatchObject({ field: 'batch', culprits: [], round: 0 })
      }
      for (const { retired, saves, asked } of setups)
        expect([retired, saves, asked]).toEqual([[], 0, []])
    }
  })

  it('part without blame when one signs alone', async () => {
    for (const [one, other] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const room = new MemoryRoom(2)
      const outcomes = await Promise.all([
        signBatchIn(room, two, [{ index: one }], [a, b]),
        signIn(room, two, [{ index: other }], a.digest),
      ])
      for (const error of errorsOf(outcomes.flat()))
        expect(error).toMatchObject({ code: 'session_mismatch', field: 'operation' })
    }
  })
})

/**
 * A suite that spoils a byte of a message of the signing protocol before it enters the channel. `at` counts from the
 * message's payload, also where that travels in parts.
 */
function cheatingAt(number: number, at: number): Suite {
  const { channel } = native
  const place = 2 + at
  /** Which message the parts that are being sent belong to. */
  let inParts = 0
  const spoil = (plaintext: Uint8Array): Uint8Array => {
    const changed = plaintext.slice()
    const start = plaintext.length > OFFER_BYTES && plaintext[0] === 1 ? OFFER_BYTES : 0
    const [protocol, count] = plaintext.subarray(start)
    if (protocol === protocols.sign && count === number) changed[start + place]! ^= 1
    if (protocol !== protocols.part) return changed
    if (count === 1) inParts = plaintext[start + 4]!
    if (inParts === number && count === 1 + Math.floor(place / PART_BYTES))
      changed[start + 3 + (place % PART_BYTES)]! ^= 1
    return changed
  }
  return {
    ...native,
    channel: {
      ...channel,
      encrypt: (key, nonce, ad, ...plaintext) =>
        channel.encrypt(key, nonce, ad, spoil(concatBytes(...plaintext))),
    },
  }
}

/** Who spoils which of its messages, where in each signature's piece, and what the other finds. */
const cheats = [
  ['the extension in flight 1', 1, 1, round1.end, round1.vole, 'ot_check_failed', 2],
  ['the extension in flight 2', 2, 1, flight2.end, flight2.vole, 'ot_check_failed', 3],
  [
    'the multiplication in flight 2',
    2,
    1,
    flight2.end,
    flight2.answer + 31,
    'vole_check_failed',
    3,
  ],
  [
    'the tie to the nonce in flight 3',
    1,
    2,
    flight3.w + 32,
    flight3.Gamma_u,
    'gamma_check_failed',
    4,
  ],
  ['the signature share in flight 3', 1, 2, flight3.w + 32, flight3.u + 31, 'signature_invalid', 4],
] as const

describe('a party that cheats at one signature of a batch', () => {
  for (const [size, places] of [
    [3, [0, 1, 2]],
    [16, [15]],
  ] as const)
    for (const place of places)
      it.each(cheats)(
        `of ${size}, number ${place + 1}, by %s gets nothing, and its setup is retired once`,
        async (_, cheat, number, length, field, code, round) => {
          const room = new MemoryRoom(2)
          const setups = setupsOf(two)
          const suite = cheatingAt(number, place * length + field)
          const signers = withSetups(setups).map((signer) => ({
            ...signer,
            change: (run: SignBatchRun) => (signer.index === cheat ? { ...run, suite } : run),
          }))
          const sent: number[] = []
          room.relaying = (event, to) => {
            if (event.type === 'message' && to === cheat) sent.push(event.bytes.length)
            return [event]
          }
          const errors = errorsOf(await signBatchIn(room, two, signers, batchOf(size)))
          const honest = 3 - cheat
          expect(errors[honest - 1]).toBeInstanceOf(ProtocolAbort)
          expect(errors[honest - 1]).toMatchObject({ code, round, culprits: [cheat] })
          expect(errors[cheat - 1]).toBeInstanceOf(RunFailed)
          expect(errors[cheat - 1]).toMatchObject({
            reason: 'peer_aborted',
            abort: { by: honest, code, round },
          })
          const id = hex(two.setups.get(p(1))!.get(p(2))!.id)
          expect(setups[honest - 1]!.retired).toEqual([{ id, peer: cheat, code, blamed: true }])
          expect(setups[cheat - 1]!.retired).toEqual([{ id, peer: honest, code, blamed: false }])
          // The notice, 4 bytes sealed, whatever the signature; and nothing after it.
          expect(sent.at(-1)).toBe(20)
          expect(sent.filter((bytes) => bytes === 20)).toHaveLength(1)
        },
      )

  it('among three is the one that is blamed, by both', async () => {
    for (const place of [0, 1, 2]) {
      const suite = cheatingAt(1, 32 + place * round1.end + round1.vole)
      const signers = withSetups(setupsOf(three)).map((signer) => ({
        ...signer,
        change: (run: SignBatchRun) => (signer.index === 3 ? { ...run, suite } : run),
      }))
      const errors = errorsOf(await signBatchIn(new MemoryRoom(3), three, signers, batchOf(3)))
      for (const error of errors.slice(0, 2))
        expect(error instanceof RunFailed ? error.abort : error).toMatchObject({
          code: 'ot_check_failed',
        })
      for (const { setups: of, index } of signers.slice(0, 2))
        for (const { peer, blamed } of of.retired)
          expect([index, peer, blamed]).toEqual([index, 3, true])
    }
  })

  it('among three that spoils another party’s view ends without blame', async () => {
    const suite = cheatingAt(1, 0)
    const signers = withSetups(setupsOf(three)).map((signer) => ({
      ...signer,
      change: (run: SignBatchRun) => (signer.index === 3 ? { ...run, suite } : run),
    }))
    const errors = errorsOf(await signBatchIn(new MemoryRoom(3), three, signers, batchOf(2)))
    for (const error of errors.slice(0, 2))
      expect(error instanceof RunFailed ? error.abort : error).toMatchObject({
        code: 'view_mismatch',
      })
    for (const { setups: of } of signers) expect(of.retired).toEqual([])
  })

  it('shows one failed check of a setup, whatever runs on it: batches and single signatures', async () => {
    const honest = new MemorySetups(two.setups.get(p(2)))
    const suite = cheatingAt(1, round1.vole)
    const cheatsAlone = { index: 1, change: (run: SignRun): SignRun => ({ ...run, suite }) }
    const cheatsAll = { index: 1, change: (run: SignBatchRun): SignBatchRun => ({ ...run, suite }) }
    const outcomes = await Promise.all([
      ...[0, 1].map(() =>
        signBatchIn(new MemoryRoom(2), two, [cheatsAll, { index: 2, setups: honest }], batchOf(3)),
      ),
      ...[0, 1].map(() =>
        signIn(new MemoryRoom(2), two, [cheatsAlone, { index: 2, setups: honest }]),
      ),
    ])
    const codes = outcomes.map((outcome) => (errorsOf(outcome)[1] as ProtocolAbort).code).sort()
    expect(codes).toEqual(['ot_check_failed', ...Array<string>(3).fill('session_mismatch')])
    expect(honest.retired).toHaveLength(1)
  })

  it('leaves no signature behind when the setup dies before the last message', async () => {
    class Dying extends MemorySetups {
      override alive(id: Uint8Array): boolean {
        // The second mover asks before and after its work on each of two messages: the last time before flight 4.
        return super.alive(id) && this.asked.length < 4
      }
    }
    const setups = [new MemorySetups(two.setups.get(p(1))), new Dying(two.setups.get(p(2)))]
    const errors = errorsOf(
      await signBatchIn(new MemoryRoom(2), two, withSetups(setups), batchOf(3)),
    )
    expect(errors[1]).toMatchObject({ code: 'session_mismatch', field: 'setup' })
    expect(errors[0]).toMatchObject({ reason: 'peer_aborted' })
  })
})
