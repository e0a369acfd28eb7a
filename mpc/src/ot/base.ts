import { utf8ToBytes } from '@noble/hashes/utils.js'
import { concatBytes, u8 } from '../bytes.js'
import { InvalidPoint, type Point, type Scalar } from '../curve/curve.js'
import { randomScalar } from '../math/scalar.js'
import type { Rng } from '../rng.js'
import type { Suite } from '../suite.js'
import { tags } from '../tags.js'
import { bitOf, selectBytes } from './bits.js'
import { BASE_OTS, KEY_BYTES } from './parameters.js'
import { sessionKey } from './session-key.js'

const POINT_BYTES = 33

/** The sender's message: A. */
export const BASE_OT_SENDER_BYTES = POINT_BYTES
/** The receiver's message: (s_0, s_1) for each instance. */
export const BASE_OT_RECEIVER_BYTES = BASE_OTS * 2 * POINT_BYTES

const pointTag = utf8ToBytes(tags.baseOtPoint)

/** What the hash to the curve is given for instance i, branch x and the other branch's point. */
const pointInput = (sid: Uint8Array, i: number, x: number, s: Uint8Array): Uint8Array =>
  concatBytes(sid, u8(i), u8(x), s)

/** key_x of instance i. */
function branchKey(
  suite: Suite,
  key: Uint8Array,
  i: number,
  x: number,
  A: Uint8Array,
  pair: Uint8Array,
  shared: Uint8Array,
): Uint8Array {
  return suite.kernel.hash(key, concatBytes(u8(i), u8(x), A, pair, shared), KEY_BYTES)
}

/** The sender's side of one batch. The scalar a serves this batch and no other. */
export class BaseOtSender {
  readonly message: Uint8Array
  readonly #suite: Suite
  readonly #sid: Uint8Array
  #a: Scalar | undefined

  /** docs/spec/ot.md, step 1.1. */
  constructor(suite: Suite, sid: Uint8Array, rng: Rng) {
    this.#suite = suite
    this.#sid = sid
    this.#a = randomScalar(rng) // 1.1.1
    this.message = suite.curve.encode(suite.curve.mulBase(this.#a)) // 1.1.2  A ← a·G
  }

  /**
   * The two keys of each instance: instance i's at 64·i, branch 0 first. Once only. docs/spec/ot.md, step 1.3.
   * @throws InvalidPoint when a point is malformed, or a branch's point is the identity
   */
  finish(message: Uint8Array): Uint8Array {
    const { curve } = this.#suite
    const a = this.#a
    this.#a = undefined
    if (a === undefined) throw new Error('this base OT has been used already')
    if (message.length !== BASE_OT_RECEIVER_BYTES)
      throw new InvalidPoint('the base OT message has a wrong length') // 1.3.1
    const s: Uint8Array[] = []
    const S: Point[] = []
    const inputs: Uint8Array[] = []
    for (let k = 0; k < 2 * BASE_OTS; k++) {
      s.push(message.subarray(k * POINT_BYTES, (k + 1) * POINT_BYTES))
      S.push(curve.decode(s[k]!)) // 1.3.1
    }
    for (let k = 0; k < 2 * BASE_OTS; k++)
      inputs.push(pointInput(this.#sid, k >> 1, k & 1, s[k ^ 1]!))
    const H = curve.hashManyToCurve(inputs, pointTag)
    const P = curve.addMany(S, H) // 1.3.2  P_x ← s_x + H(i, x, s_{1−x})
    if (P.some((one) => curve.isIdentity(one)))
      throw new InvalidPoint('a base OT point is the identity') // 1.3.2
    const aP = curve.mulMany(P, a)
    const key = sessionKey(this.#suite.kernel, this.#sid, tags.baseOtKey)
    const keys = new Uint8Array(2 * BASE_OTS * KEY_BYTES)
    for (let k = 0; k < 2 * BASE_OTS; k++) {
      const i = k >> 1
      const shared = curve.encode(aP[k]!)
      const pair = message.subarray(i * 2 * POINT_BYTES, (i + 1) * 2 * POINT_BYTES)
      const branch = branchKey(this.#suite, key, i, k & 1, this.message, pair, shared) // 1.3.3
      keys.set(branch, k * KEY_BYTES)
      branch.fill(0)
      shared.fill(0)
    }
    return keys
  }
}

/**
 * The receiver's side of one batch, with 128 secret choice bits. docs/spec/ot.md, step 1.2. What runs is the same
 * for every choice: each bit is only ever a mask over bytes or a byte of a hash input.
 * @returns the message, and the chosen key of each instance, 32 bytes each
 * @throws InvalidPoint when the sender's point is malformed
 */
export function receiveBaseOt(
  suite: Suite,
  sid: Uint8Array,
  choice: Uint8Array,
  senderMessage: Uint8Array,
  rng: Rng,
): { message: Uint8Array; keys: Uint8Array } {
  const { curve, kernel } = suite
  if (choice.length * 8 !== BASE_OTS) throw new RangeError('128 choice bits are needed')
  const A = curve.decode(senderMessage) // 1.2.1
  const b: Scalar[] = []
  const rho: Scalar[] = []
  for (let i = 0; i < BASE_OTS; i++) {
    b.push(randomScalar(rng)) // 1.2.2
    rho.push(randomScalar(rng)) // 1.2.3
  }
  const B = curve.mulBaseMany(b)
  const R = curve.mulBaseMany(rho).map((point) => curve.encode(point)) // 1.2.3  s_{1−c} ← random point
  const inputs = R.map((r, i) => pointInput(sid, i, bitOf(choice, i), r))
  const H = curve.hashManyToCurve(inputs, pointTag)
  const C = curve.addMany(
    B,
    H.map((point) => curve.negate(point)),
  ) // 1.2.4  s_c ← b·G − H(i, c, s_{1−c})
  const message = new Uint8Array(BASE_OT_RECEIVER_BYTES)
  for (let i = 0; i < BASE_OTS; i++) {
    const c = bitOf(choice, i)
    const [r, s] = [R[i]!, curve.encode(C[i]!)]
    message.set(selectBytes(c, s, r), 2 * i * POINT_BYTES) // 1.2.5
    message.set(selectBytes(c, r, s), (2 * i + 1) * POINT_BYTES)
    r.fill(0)
    s.fill(0)
  }
  const bA = curve.mulByMany(A, b)
  const key = sessionKey(kernel, sid, tags.baseOtKey)
  const keys = new Uint8Array(BASE_OTS * KEY_BYTES)
  for (let i = 0; i < BASE_OTS; i++) {
    const pair = message.subarray(i * 2 * POINT_BYTES, (i + 1) * 2 * POINT_BYTES)
    const shared = curve.encode(bA[i]!) // 1.2.6
    const branch = branchKey(suite, key, i, bitOf(choice, i), senderMessage, pair, shared)
    keys.set(branch, i * KEY_BYTES)
    branch.fill(0)
    shared.fill(0)
  }
  for (const input of inputs) input.fill(0)
  return { message, keys }
}
