import { randomBytes } from 'node:crypto'
import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { equalBytes } from '../src/bytes.js'
import { InvalidPoint, type Curve, type Point, type Scalar } from '../src/curve/curve.js'
import { nobleCurve } from '../src/curve/noble.js'
import { ORDER, encodeScalar } from '../src/math/scalar.js'
import { loadBindings, type Bindings } from './bindings.js'

// A point is its 65 bytes 04 ‖ x ‖ y, the library's cheapest form; 65 zeros are the identity.
const inside = (P: Point): Uint8Array => P as unknown as Uint8Array
const outside = (bytes: Uint8Array): Point => bytes as unknown as Point

const IDENTITY = new Uint8Array(65)
const isIdentity = (bytes: Uint8Array): boolean => bytes[0] === 0

/** Stands for ECDH's hash: the coordinates are wanted as they are, and stay in the buffers given for them. */
const both = (): Uint8Array => new Uint8Array(1)

/**
 * libsecp256k1 as a backend, or undefined where there is no prebuilt binding for this platform: the caller then
 * takes the noble backend and says so. There is no silent stand-in.
 */
export function loadNativeCurve(): Curve | undefined {
  const lib = loadBindings()
  if (lib === undefined) return undefined
  lib.contextRandomize(randomBytes(32))
  return nativeCurve(lib)
}

function nativeCurve(lib: Bindings): Curve {
  const addBytes = (p: Uint8Array, q: Uint8Array): Uint8Array => {
    if (isIdentity(p)) return q
    if (isIdentity(q)) return p
    // The library refuses a sum that is the identity: p and −p have the same x and differ in y.
    if (equalBytes(p.subarray(0, 33), q.subarray(0, 33)) && !equalBytes(p, q)) return IDENTITY
    return lib.publicKeyCombine([p, q], false)
  }
  const secret = (k: Scalar): Uint8Array => {
    if (k <= 0n || k >= ORDER) throw new RangeError('a secret scalar is 1 to n-1')
    return encodeScalar(k)
  }
  const mulBase = (k: Scalar): Point => {
    const bytes = secret(k)
    const R = lib.publicKeyCreate(bytes, false)
    bytes.fill(0)
    return outside(R)
  }
  const mul = (P: Point, k: Scalar): Point => {
    const bytes = secret(k)
    if (isIdentity(inside(P))) return P
    // ECDH is the library's constant-time multiplication; its hash is left out.
    const R = new Uint8Array(65)
    const x = R.subarray(1, 33)
    const y = R.subarray(33)
    lib.ecdh(inside(P), bytes, { hashfn: both, xbuf: x, ybuf: y }, new Uint8Array(1))
    R[0] = 4
    bytes.fill(0)
    return outside(R)
  }
  const addMany = (left: readonly Point[], right: readonly Point[]): Point[] => {
    if (left.length !== right.length) throw new RangeError('as many points on either side')
    return left.map((P, i) => outside(addBytes(inside(P), inside(right[i]!))))
  }
  // The library has no hash to the curve.
  const hashManyToCurve = (messages: readonly Uint8Array[], dst: Uint8Array): Point[] =>
    nobleCurve
      .hashManyToCurve(messages, dst)
      .map((P) => outside(lib.publicKeyConvert(nobleCurve.encode(P), false)))
  // The kernel's points have the same form, and it is quicker where many share a base or an inversion.
  const many: Pick<
    Curve,
    'addMany' | 'addMulBaseMany' | 'hashManyToCurve' | 'mulBaseMany' | 'mulByMany'
  > = loadWasmCurve() ?? {
    addMany,
    addMulBaseMany: (points, scalars) => addMany(points, scalars.map(mulBase)),
    hashManyToCurve,
    mulBaseMany: (scalars) => scalars.map(mulBase),
    mulByMany: (P, scalars) => scalars.map((k) => mul(P, k)),
  }

  return Object.freeze<Curve>({
    name: 'libsecp256k1',
    order: ORDER,
    mulBase,
    mulBaseMany: many.mulBaseMany,
    addMulBaseMany: many.addMulBaseMany,
    mul,
    mulMany: (points, k) => points.map((P) => mul(P, k)),
    mulByMany: many.mulByMany,
    mulPublic(P, k) {
      if (k < 0n || k >= ORDER) throw new RangeError('a public scalar is 0 to n-1')
      if (k === 0n || isIdentity(inside(P))) return outside(IDENTITY)
      return outside(lib.publicKeyTweakMul(inside(P), encodeScalar(k), false))
    },
    add: (P, Q) => outside(addBytes(inside(P), inside(Q))),
    addMany: many.addMany,
    sum: (points) => outside(points.map(inside).reduce(addBytes, IDENTITY)),
    negate: (P) => (isIdentity(inside(P)) ? P : outside(lib.publicKeyNegate(inside(P), false))),
    equals: (P, Q) => equalBytes(inside(P), inside(Q)),
    isIdentity: (P) => isIdentity(inside(P)),
    encode(P) {
      if (isIdentity(inside(P))) throw new InvalidPoint('the identity has no encoding')
      const out = inside(P).slice(0, 33)
      out[0] = 2 | (inside(P)[64]! & 1)
      return out
    },
    decode(bytes) {
      if (bytes.length !== 33 || (bytes[0] !== 2 && bytes[0] !== 3))
        throw new InvalidPoint('a point is 33 bytes, the first 02 or 03')
      try {
        return outside(lib.publicKeyConvert(bytes, false))
      } catch {
        throw new InvalidPoint('the bytes are no point of the curve')
      }
    },
    hashToCurve: (message, dst) => many.hashManyToCurve([message], dst)[0]!,
    hashManyToCurve: many.hashManyToCurve,
    recover({ r, s, v }, digest) {
      if (r.length !== 32 || s.length !== 32) return undefined
      const signature = new Uint8Array(64)
      signature.set(r)
      signature.set(s, 32)
      try {
        return outside(lib.ecdsaRecover(signature, v, digest, false))
      } catch {
        return undefined // r or s is 0 or not below n, there is no R, or no key
      }
    },
    coordinates(P) {
      if (isIdentity(inside(P))) throw new InvalidPoint('the identity has no coordinates')
      return { x: inside(P).slice(1, 33), yIsOdd: (inside(P)[64]! & 1) === 1 }
    },
  })
}
