import { concatBytes, u8 } from '../../src/bytes.js'
import { referenceKernel as kernel } from '../../src/kernel/reference.js'
import { combineRows, maskInputs } from '../../src/kernel/scalar-rows.js'
import { ORDER, decodeScalar, encodeScalar, mod } from '../../src/math/scalar.js'
import { addDelta, extendSender } from '../../src/ot/extension.js'
import { sessionKey } from '../../src/ot/session-key.js'
import { systemRng } from '../../src/rng.js'
import type { PairSetup } from '../../src/setup/pair-setup.js'
import { tags } from '../../src/tags.js'
import { Transcript } from '../../src/transcript.js'

/** The session id of a direction, as both sides compute it. */
export const directionOf = (sid: Uint8Array, setup: PairSetup, receiver: number, sender: number) =>
  new Transcript(tags.voleDirection).add(sid, setup.id, u8(receiver), u8(sender)).digest()

/**
 * A multiplication sender that follows every step but adds `error` to its input i in row j, before θ is drawn:
 * the answer passes exactly when the receiver's β_j is 0.
 */
export function cheatingSender(
  setup: PairSetup,
  sid: Uint8Array,
  message: Uint8Array,
  row: number,
  input: number,
  error: bigint,
): Uint8Array {
  const direction = directionOf(sid, setup, setup.peer, setup.me)
  const w = extendSender(kernel, direction, setup.puncturedLeaves, setup.delta, 52, message)
  const padKey = sessionKey(kernel, direction, tags.volePad)
  const pads = (columns: Uint8Array) =>
    kernel.reduceScalars(kernel.hashRows(padKey, columns, 16, 144))
  const alpha0 = pads(w)
  const a = [11n, 13n, mod(BigInt(`0x${Buffer.from(systemRng(32)).toString('hex')}`))]
  const masked = maskInputs(
    alpha0,
    pads(addDelta(w, setup.delta)),
    concatBytes(...a.map(encodeScalar)),
  )
  const place = (3 * row + input) * 32
  const value = decodeScalar(masked.slice(place, place + 32))
  masked.set(encodeScalar(mod(value + error)), place)
  const thetaKey = sessionKey(kernel, direction, tags.voleTheta)
  const theta = kernel.reduceScalars(kernel.hash(thetaKey, concatBytes(message, masked), 96))
  const [theta0, theta1] = [0, 32].map((at) => decodeScalar(theta.slice(at, at + 32)))
  const eta = mod(a[2]! + theta0! * a[0]! + theta1! * a[1]!)
  const muKey = sessionKey(kernel, direction, tags.voleMu)
  const mu = kernel.hash(muKey, combineRows(alpha0, theta), 32)
  return concatBytes(masked, encodeScalar(eta), mu)
}

/** n, encoded: one too much for a scalar. */
export const tooLarge = (): Uint8Array => {
  const bytes = encodeScalar(ORDER - 1n)
  bytes[31]! += 1
  return bytes
}
