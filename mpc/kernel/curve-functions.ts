import type { Address } from './machine.js'

/**
 * The functions of mpc/kernel/assembly for the curve. A point is 65 bytes, 04 ‖ x ‖ y or zeros for the identity; a
 * scalar 32 bytes, big-endian. The `room` of a function is named in its source.
 */
export interface CurveFunctions {
  /** out_i ← P_i + k_i·G */
  multiplyBase(out: Address, points: Address, scalars: Address, count: number, room: Address): void
  /** out_i ← k_i·P for one P, which is not the identity */
  multiplyOne(out: Address, point: Address, scalars: Address, count: number, room: Address): void
  /** out_i ← k·P_i for one k */
  multiplyMany(out: Address, points: Address, scalar: Address, count: number, room: Address): void
  /** Bytes of room that `multiplyOne` needs, besides those for each scalar. */
  tableRoom(): number
  /** Bytes of room that `multiplyBase` needs, besides those for each scalar: less once it has been called. */
  baseTableRoom(): number
  /** out_i ← P_i + Q_i */
  addMany(out: Address, p: Address, q: Address, count: number, room: Address): void
  /** 33 bytes, the first of them 02 or 03, to a point; 0 if they are none. */
  decodePoint(out: Address, bytes: Address): number
  hashToCurve(
    out: Address,
    messages: Address,
    lengths: Address,
    count: number,
    tag: Address,
    tagLength: number,
    room: Address,
  ): void
  /** The map to the curve of one field element, 32 bytes; for tests. */
  mapToCurve(out: Address, element: Address, room: Address): void
  // The field, for tests: elements of 48 bytes, as described in mpc/kernel/assembly/field-p.ts.
  readonly fieldAdd: (r: Address, a: Address, b: Address) => void
  readonly fieldInvert: (r: Address, a: Address) => void
  readonly fieldIsZero: (a: Address) => number
  readonly fieldMul: (r: Address, a: Address, b: Address) => void
  readonly fieldMulAdd: (r: Address, a: Address, b: Address, x: Address, y: Address) => void
  readonly fieldNegate: (r: Address, a: Address) => void
  readonly fieldNormalize: (a: Address) => void
  readonly fieldRoot: (r: Address, a: Address) => void
  readonly fieldSmall: (r: Address, a: Address, m: number) => void
  readonly fieldSqr: (r: Address, a: Address) => void
  readonly fieldSub: (r: Address, a: Address, b: Address) => void
  readonly fieldTimes21: (r: Address, a: Address) => void
}
