import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { concatBytes, equalBytes, u8 } from '../src/bytes.js'
import { InvalidPoint, type Curve, type Point, type Scalar } from '../src/curve/curve.js'
import { recoverWith } from '../src/curve/recover.js'
import { ORDER, writeUint256 } from '../src/math/scalar.js'
import { theMachine, type Address, type Machine } from './machine.js'

// A point is its 65 bytes 04 ‖ x ‖ y; 65 zeros are the identity.
const inside = (P: Point): Uint8Array => P as unknown as Uint8Array
const outside = (bytes: Uint8Array): Point => bytes as unknown as Point

const POINT_BYTES = 65
/** Room that the kernel needs for each point of a batch. */
const ROOM_BYTES = 192

const IDENTITY = outside(new Uint8Array(POINT_BYTES))
const isIdentity = (P: Point): boolean => inside(P)[0] === 0

/** p = 2²⁵⁶ − 2³² − 977 */
const FIELD_ORDER = new Uint8Array(32).fill(255)
FIELD_ORDER.set([254, 255, 255, 252, 47], 27)

/** The curve on the WebAssembly kernel, or undefined where it cannot run. */
export function loadWasmCurve(): Curve | undefined {
  const machine = theMachine()
  return machine === undefined ? undefined : wasmCurve(machine)
}

function wasmCurve(machine: Machine): Curve {
  const { run } = machine

  const putPoints = (points: readonly Point[]): Address =>
    machine.put(concatBytes(...points.map(inside)))
  const putScalars = (scalars: readonly Scalar[]): Address => {
    const bytes = new Uint8Array(32 * scalars.length)
    for (const [i, k] of scalars.entries()) writeUint256(k, bytes, 32 * i)
    const at = machine.put(bytes)
    bytes.fill(0)
    return at
  }
  /** One call that gives `count` points. */
  const points = (
    count: number,
    moreRoom: number,
    work: (out: Address, room: Address) => void,
  ): Point[] =>
    machine.call(() => {
      const out = machine.room(count * POINT_BYTES)
      work(out, machine.room(count * ROOM_BYTES + moreRoom))
      const all = machine.take(out, count * POINT_BYTES)
      return Array.from({ length: count }, (_, i) =>
        outside(all.subarray(i * POINT_BYTES, (i + 1) * POINT_BYTES)),
      )
    })

  const multiply = (all: readonly Point[], k: Scalar): Point[] =>
    points(all.length, 0, (out, room) =>
      run.multiplyMany(out, putPoints(all), putScalars([k]), all.length, room),
    )

  const mulBaseMany = (scalars: readonly Scalar[]): Point[] => {
    scalars.forEach(checkSecret)
    return points(scalars.length, run.baseTableRoom(), (out, room) => {
      const identities = machine.room(scalars.length * POINT_BYTES)
      run.multiplyBase(out, identities, putScalars(scalars), scalars.length, room)
    })
  }

  const addMulBaseMany = (all: readonly Point[], scalars: readonly Scalar[]): Point[] => {
    if (all.length !== scalars.length) throw new RangeError('as many points as scalars')
    scalars.forEach(checkSecret)
    return points(all.length, run.baseTableRoom(), (out, room) =>
      run.multiplyBase(out, putPoints(all), putScalars(scalars), all.length, room),
    )
  }

  const mulMany = (all: readonly Point[], k: Scalar): Point[] => {
    checkSecret(k)
    return multiply(all, k)
  }

  const mulByMany = (P: Point, scalars: readonly Scalar[]): Point[] => {
    scalars.forEach(checkSecret)
    if (isIdentity(P)) return scalars.map(() => P)
    return points(scalars.length, run.tableRoom(), (out, room) =>
      run.multiplyOne(out, putPoints([P]), putScalars(scalars), scalars.length, room),
    )
  }

  const mulPublic = (P: Point, k: Scalar): Point => {
    if (k < 0n || k >= ORDER) throw new RangeError('a public scalar is 0 to n-1')
    return multiply([P], k)[0]!
  }

  const addMany = (left: readonly Point[], right: readonly Point[]): Point[] => {
    if (left.length !== right.length) throw new RangeError('as many points on either side')
    return points(left.length, 0, (out, room) =>
      run.addMany(out, putPoints(left), putPoints(right), left.length, room),
    )
  }
  const add = (P: Point, Q: Point): Point => addMany([P], [Q])[0]!

  const hashManyToCurve = (messages: readonly Uint8Array[], dst: Uint8Array): Point[] => {
    const tag = domainTag(dst)
    const lengths = Uint32Array.from(messages, (message) => message.length)
    const longest = lengths.reduce((a, b) => Math.max(a, b), 0)
    return points(messages.length, 256 + longest + tag.length, (out, room) =>
      run.hashToCurve(
        out,
        machine.put(concatBytes(...messages)),
        machine.put(new Uint8Array(lengths.buffer)),
        messages.length,
        machine.put(tag),
        tag.length,
        room,
      ),
    )
  }

  const curve: Curve = Object.freeze<Curve>({
    name: 'wasm',
    order: ORDER,
    mulBase: (k) => mulBaseMany([k])[0]!,
    mulBaseMany,
    addMulBaseMany,
    mul: (P, k) => mulMany([P], k)[0]!,
    mulMany,
    mulByMany,
    mulPublic,
    add,
    addMany,
    sum: (all) => all.reduce(add, IDENTITY),
    negate,
    equals: (P, Q) => equalBytes(inside(P), inside(Q)),
    isIdentity,
    encode(P) {
      if (isIdentity(P)) throw new InvalidPoint('the identity has no encoding')
      const out = inside(P).slice(0, 33)
      out[0] = 2 | (inside(P)[64]! & 1)
      return out
    },
    decode(bytes) {
      if (bytes.length !== 33 || (bytes[0] !== 2 && bytes[0] !== 3))
        throw new InvalidPoint('a point is 33 bytes, the first 02 or 03')
      return machine.call(() => {
        const out = machine.room(POINT_BYTES)
        if (run.decodePoint(out, machine.put(bytes)) === 0)
          throw new InvalidPoint('the bytes are no point of the curve')
        return outside(machine.take(out, POINT_BYTES))
      })
    },
    hashToCurve: (message, dst) => hashManyToCurve([message], dst)[0]!,
    hashManyToCurve,
    recover: (signature, digest) => recoverWith(curve, signature, digest),
    coordinates(P) {
      if (isIdentity(P)) throw new InvalidPoint('the identity has no coordinates')
      return { x: inside(P).slice(1, 33), yIsOdd: (inside(P)[64]! & 1) === 1 }
    },
  })
  return curve
}

function checkSecret(k: Scalar): void {
  if (k <= 0n || k >= ORDER) throw new RangeError('a secret scalar is 1 to n-1')
}

/** y becomes p − y, byte by byte; no finite point has y = 0. */
function negate(P: Point): Point {
  if (isIdentity(P)) return P
  const out = inside(P).slice()
  let borrow = 0
  for (let i = 31; i >= 0; i--) {
    const difference = FIELD_ORDER[i]! - out[33 + i]! - borrow
    out[33 + i] = difference
    borrow = (difference >> 8) & 1
  }
  return outside(out)
}

/** The tag with its length; a long one is hashed first. RFC 9380, sections 5.3.1 and 5.3.3 */
function domainTag(dst: Uint8Array): Uint8Array {
  if (dst.length === 0) throw new RangeError('a domain separation tag is not empty')
  const tag = dst.length > 255 ? sha256(concatBytes(utf8ToBytes('H2C-OVERSIZE-DST-'), dst)) : dst
  return concatBytes(tag, u8(tag.length))
}
