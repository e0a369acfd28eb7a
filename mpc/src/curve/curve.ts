/** An integer mod n, 0 ≤ s < n. In protocol code: lower case. */
export type Scalar = bigint

/** A group element in the form its backend likes best. Never shared between backends. In protocol code: upper case. */
export interface Point {
  readonly __point: unique symbol
}

/** Bytes that are no point of the group, or not in the one accepted encoding. */
export class InvalidPoint extends Error {
  override readonly name = 'InvalidPoint'
}

/**
 * The group secp256k1, as the protocol needs it. Three backends: noble (reference), the WebAssembly kernel and
 * libsecp256k1 (`@vertex/mpc/native`). All must answer the same bytes. What takes or gives many may share work between
 * them, and does nothing else than the same for each one in turn. The identity is representable only as a result of
 * additions; `isIdentity` tells, `encode` refuses it, `decode` never yields it.
 */
export interface Curve {
  readonly name: string
  /** Group order n. */
  readonly order: bigint
  /** k·G, for secret k in 1..n-1. */
  mulBase(k: Scalar): Point
  /** k_i·G, for secret k_i in 1..n-1. */
  mulBaseMany(scalars: readonly Scalar[]): Point[]
  /** P_i + k_i·G, for secret k_i in 1..n-1. */
  addMulBaseMany(points: readonly Point[], scalars: readonly Scalar[]): Point[]
  /** k·P, for secret k in 1..n-1. */
  mul(P: Point, k: Scalar): Point
  /** k·P_i, for secret k in 1..n-1. */
  mulMany(points: readonly Point[], k: Scalar): Point[]
  /** k_i·P, for secret k_i in 1..n-1. */
  mulByMany(P: Point, scalars: readonly Scalar[]): Point[]
  /** k·P for public k in 0..n-1; may be variable-time. */
  mulPublic(P: Point, k: Scalar): Point
  add(P: Point, Q: Point): Point
  /** P_i + Q_i */
  addMany(left: readonly Point[], right: readonly Point[]): Point[]
  sum(points: readonly Point[]): Point
  negate(P: Point): Point
  equals(P: Point, Q: Point): boolean
  isIdentity(P: Point): boolean
  /** 33 bytes, compressed. @throws InvalidPoint for the identity */
  encode(P: Point): Uint8Array
  /** 33 bytes, first 02 or 03, on the curve. @throws InvalidPoint */
  decode(bytes: Uint8Array): Point
  /** RFC 9380, secp256k1_XMD:SHA-256_SSWU_RO_ under the given domain tag. */
  hashToCurve(message: Uint8Array, dst: Uint8Array): Point
  /** As {@link hashToCurve} for each message in turn. */
  hashManyToCurve(messages: readonly Uint8Array[], dst: Uint8Array): Point[]
  /**
   * The public key under which (r, s) is a signature of a 32-byte digest whose nonce point is R: r⁻¹·(s·R − m·G), all
   * public, R the point that r and v name (bit 0 of v: its y is odd; bit 1: its x is r + n); s may be high. Undefined
   * where r or s is not 32 bytes in 1..n-1, or there is no R or no key.
   */
  recover(
    signature: { r: Uint8Array; s: Uint8Array; v: number },
    digest: Uint8Array,
  ): Point | undefined
  /** The affine x coordinate, 32 bytes, and whether y is odd. */
  coordinates(P: Point): { x: Uint8Array; yIsOdd: boolean }
}
