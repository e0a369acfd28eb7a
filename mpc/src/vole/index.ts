import { concatBytes, equalBytes, u8, wipe } from '../bytes.js'
import type { Scalar } from '../curve/curve.js'
import type { Kernel, MultiplicationKeys } from '../kernel/kernel.js'
import { ProtocolAbort } from '../abort.js'
import {
  SCALAR_BYTES,
  WIDE_BYTES,
  decodeScalar,
  encodeScalar,
  mod,
  reduceWide,
} from '../math/scalar.js'
import { OtCheckFailed, extendReceiver, extendSender, extensionBytes } from '../ot/extension.js'
import { MASK_BYTES, XI } from '../ot/parameters.js'
import { SID_BYTES, sessionKey } from '../ot/session-key.js'
import type { PartyIndex } from '../party.js'
import type { Rng } from '../rng.js'
import type { PairSetup } from '../setup/pair-setup.js'
import type { Suite } from '../suite.js'
import { tags } from '../tags.js'
import { Transcript } from '../transcript.js'

const CHOICE_BYTES = XI / 8

/** Inputs of one multiplication, ℓ = 2, and one random input that carries the check, ρ = 1. */
const WIDTH = 3

/** The receiver's message: u, x̂, t̂ of the OT extension. */
export const VOLE_MESSAGE_BYTES = extensionBytes(CHOICE_BYTES)

const MU_BYTES = 32

/** The sender's answer: ã (416 rows of three scalars), η, μ. */
export const VOLE_ANSWER_BYTES = XI * WIDTH * SCALAR_BYTES + SCALAR_BYTES + MU_BYTES

/** What one direction of a multiplication needs. */
export interface VoleContext {
  readonly suite: Suite
  /** The run's session id, 32 bytes, agreed on before any message of this protocol is sent. */
  readonly sid: Uint8Array
  /** Alive when the message leaves; after a failed check retired for ever. */
  readonly setup: PairSetup
  /** The run's hedged source. */
  readonly rng: Rng
  /** The number that aborts name. */
  readonly round: number
}

/** The receiver's side, waiting for the answer. */
export interface VoleReceiver {
  /** {@link VOLE_MESSAGE_BYTES} bytes for the sender. */
  readonly message: Uint8Array
  /** χ, the receiver's random input: b in DKLs23's protocol 5.2. */
  readonly chi: Scalar
  /**
   * Single-use. Gives d_u, d_v with c_i + d_i = a_i·χ.
   * @throws ProtocolAbort `message_invalid`, `vole_check_failed`
   */
  finish(answer: Uint8Array): [d_u: Scalar, d_v: Scalar]
}

/** Separates the two directions and the setups that one run may use. docs/spec/vole.md, step 2. */
function directionId(ctx: VoleContext, receiver: PartyIndex, sender: PartyIndex): Uint8Array {
  if (ctx.sid.length !== SID_BYTES) throw new RangeError('a session id is 32 bytes')
  return new Transcript(tags.voleDirection, ctx.suite.kernel.hash)
    .add(ctx.sid, ctx.setup.id, u8(receiver), u8(sender))
    .digest()
}

const keysOf = (kernel: Kernel, sid: Uint8Array): MultiplicationKeys => ({
  pad: sessionKey(kernel, sid, tags.volePad),
  theta: sessionKey(kernel, sid, tags.voleTheta),
  mu: sessionKey(kernel, sid, tags.voleMu),
})

/**
 * Starts one multiplication as its receiver (Bob), with a fresh random χ. docs/spec/vole.md, steps 3 and 5.
 * @throws RangeError for a sid that is not 32 bytes
 */
export function voleReceive(ctx: VoleContext): VoleReceiver {
  const { setup } = ctx
  const { kernel } = ctx.suite
  const sid = directionId(ctx, setup.me, setup.peer)
  const gadget = setup.gadget(kernel, setup.me)
  const beta = ctx.rng(CHOICE_BYTES) // 3.1
  const mask = ctx.rng(MASK_BYTES)
  const { message, v } = extendReceiver(kernel, sid, setup.leaves, beta, mask) // 3.2
  mask.fill(0)
  const chi = decodeScalar(kernel.selectedSum(beta, gadget)) // 3.3  χ ← Σ β_j·g_j
  let used = false
  const finish = (answer: Uint8Array): [Scalar, Scalar] => {
    if (used) throw new Error('this multiplication has been finished already')
    used = true
    try {
      if (answer.length !== VOLE_ANSWER_BYTES) throw invalid(ctx) // 5.1
      const scalars = answer.subarray(0, answer.length - MU_BYTES)
      if (!allScalars(scalars)) throw invalid(ctx) // 5.2
      // 3.4, 5.3, 5.4; 5.6  d_i ← Σ_j g_j·(γ_{j,i} + β_j·ã_{j,i}), of no use unless 5.5 holds
      const keys = keysOf(kernel, sid)
      const { mu, sums } = kernel.finishMultiplication(keys, gadget, beta, v, message, answer)
      const holds = equalBytes(mu, answer.subarray(scalars.length)) // 5.5
      const d = twoScalars(sums)
      wipe(mu, sums)
      if (!holds) throw new ProtocolAbort('vole_check_failed', ctx.round, [setup.peer])
      return d
    } finally {
      wipe(beta, v)
    }
  }
  return { message, chi, finish }
}

/**
 * Answers one multiplication as its sender (Alice), with inputs a. docs/spec/vole.md, step 4.
 * @throws ProtocolAbort `message_invalid`, `ot_check_failed`
 */
export function voleSend(
  ctx: VoleContext,
  message: Uint8Array,
  a: readonly [Scalar, Scalar],
): { answer: Uint8Array; c: [c_u: Scalar, c_v: Scalar] } {
  const { setup } = ctx
  const { kernel } = ctx.suite
  if (message.length !== VOLE_MESSAGE_BYTES) throw invalid(ctx) // 4.1
  const sid = directionId(ctx, setup.peer, setup.me)
  const gadget = setup.gadget(kernel, setup.peer)
  const w = receiveExtension(ctx, sid, message) // 4.2
  const random = ctx.rng(WIDE_BYTES)
  const aHat = reduceWide(random) // 4.4
  const inputs = concatBytes(encodeScalar(a[0]), encodeScalar(a[1]), encodeScalar(aHat))
  const keys = keysOf(kernel, sid)
  // 4.3–4.8
  const { answer, sums } = kernel.answerMultiplication(
    keys,
    gadget,
    w,
    setup.delta,
    inputs,
    message,
  )
  const [sum_u, sum_v] = twoScalars(sums) // c_i ← −Σ g_j·α0_{j,i}
  wipe(w, random, inputs, sums)
  return { answer, c: [mod(-sum_u), mod(-sum_v)] }
}

const twoScalars = (bytes: Uint8Array): [Scalar, Scalar] => [
  decodeScalar(bytes.subarray(0, SCALAR_BYTES)),
  decodeScalar(bytes.subarray(SCALAR_BYTES)),
]

function receiveExtension(ctx: VoleContext, sid: Uint8Array, message: Uint8Array): Uint8Array {
  const { puncturedLeaves, delta, peer } = ctx.setup
  try {
    return extendSender(ctx.suite.kernel, sid, puncturedLeaves, delta, CHOICE_BYTES, message)
  } catch (error) {
    if (error instanceof OtCheckFailed)
      throw new ProtocolAbort('ot_check_failed', ctx.round, [peer])
    throw error
  }
}

const invalid = (ctx: VoleContext): ProtocolAbort =>
  new ProtocolAbort('message_invalid', ctx.round, [ctx.setup.peer])

/** Whether every 32 bytes are a scalar below n. Public data only. */
function allScalars(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += SCALAR_BYTES) {
    // n begins with ff, so only such bytes need the long way.
    if (bytes[at] === 0xff && !isScalar(bytes.subarray(at, at + SCALAR_BYTES))) return false
  }
  return true
}

function isScalar(bytes: Uint8Array): boolean {
  try {
    decodeScalar(bytes)
    return true
  } catch {
    return false
  }
}
