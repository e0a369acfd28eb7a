import { secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import { ORDER } from '../math/scalar.js'
import { recoverWith } from './recover.js'
import { InvalidPoint, type Curve, type Point } from './curve.js'

type NoblePoint = InstanceType<typeof secp256k1.Point>

const inside = (P: Point): NoblePoint => P as unknown as NoblePoint
const outside = (P: NoblePoint): Point => P as unknown as Point

const { BASE, ZERO } = secp256k1.Point

/**
 * The reference backend, for platforms with neither libsecp256k1 nor WebAssembly. Secret scalars only ever meet
 * noble's `multiply` (fixed sequence of operations, blinded scalar); bigints are not constant time all the same.
 */
export const nobleCurve: Curve = Object.freeze<Curve>({
  name: 'noble',
  order: ORDER,
  mulBase: (k) => outside(BASE.multiply(k)),
  mulBaseMany: (scalars) => scalars.map((k) => outside(BASE.multiply(k))),
  addMulBaseMany(points, scalars) {
    if (points.length !== scalars.length) throw new RangeError('as many points as scalars')
    return points.map((P, i) => outside(inside(P).add(BASE.multiply(scalars[i]!))))
  },
  mul: (P, k) => outside(inside(P).multiply(k)),
  mulMany: (points, k) => points.map((P) => outside(inside(P).multiply(k))),
  mulByMany: (P, scalars) => scalars.map((k) => outside(inside(P).multiply(k))),
  mulPublic: (P, k) => outside(inside(P).multiplyUnsafe(k)),
  add: (P, Q) => outside(inside(P).add(inside(Q))),
  addMany(left, right) {
    if (left.length !== right.length) throw new RangeError('as many points on either side')
    return left.map((P, i) => outside(inside(P).add(inside(right[i]!))))
  },
  sum: (points) => outside(points.reduce((total, P) => total.add(inside(P)), ZERO)),
  negate: (P) => outside(inside(P).negate()),
  equals: (P, Q) => inside(P).equals(inside(Q)),
  isIdentity: (P) => inside(P).is0(),
  encode(P) {
    if (inside(P).is0()) throw new InvalidPoint('the identity has no encoding')
    return inside(P).toBytes(true)
  },
  decode(bytes) {
    if (bytes.length !== 33 || (bytes[0] !== 2 && bytes[0] !== 3))
      throw new InvalidPoint('a point is 33 bytes, the first 02 or 03')
    try {
      return outside(secp256k1.Point.fromBytes(bytes))
    } catch {
      throw new InvalidPoint('the bytes are no point of the curve')
    }
  },
  hashToCurve: (message, dst) => outside(secp256k1_hasher.hashToCurve(message, { DST: dst })),
  hashManyToCurve: (messages, dst) =>
    messages.map((message) => outside(secp256k1_hasher.hashToCurve(message, { DST: dst }))),
  recover: (signature, digest) => recoverWith(nobleCurve, signature, digest),
  coordinates(P) {
    if (inside(P).is0()) throw new InvalidPoint('the identity has no coordinates')
    const bytes = inside(P).toBytes(true)
    return { x: bytes.slice(1), yIsOdd: bytes[0] === 3 }
  },
})
