import {
  ORDER,
  decodeNonZeroScalar,
  InvalidScalar,
  invertPublic,
  mod,
  readUint,
  writeUint256,
} from '../math/scalar.js'
import { InvalidPoint, type Curve, type Point } from './curve.js'

/** See Curve.recover; SEC 1, section 4.1.6. For backends that have no function of their own for it. */
export function recoverWith(
  curve: Pick<Curve, 'mulPublic' | 'mulBase' | 'add' | 'negate' | 'decode' | 'isIdentity'>,
  { r, s, v }: { r: Uint8Array; s: Uint8Array; v: number },
  digest: Uint8Array,
): Point | undefined {
  if (digest.length !== 32) return undefined
  try {
    const [r_x, s_] = [decodeNonZeroScalar(r), decodeNonZeroScalar(s)]
    const x = v & 2 ? r_x + ORDER : r_x
    const encoded = new Uint8Array(33)
    if (x >= 1n << 256n) return undefined
    writeUint256(x, encoded, 1)
    encoded[0] = 2 | (v & 1)
    const R = curve.decode(encoded)
    const inverse = invertPublic(r_x)
    const m = mod(readUint(digest, 0, 32))
    const sR = curve.mulPublic(R, mod(s_ * inverse))
    const Q = m === 0n ? sR : curve.add(sR, curve.negate(curve.mulBase(mod(m * inverse))))
    return curve.isIdentity(Q) ? undefined : Q
  } catch (e) {
    if (e instanceof InvalidPoint || e instanceof InvalidScalar) return undefined
    throw e
  }
}
