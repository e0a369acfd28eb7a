import type { KeyedHash } from '../transcript.js'

/**
 * The hot symmetric work of OT and VOLE, over flat byte arrays so that a WebAssembly kernel can take the place of
 * the reference without changing a byte. Scalars are 32 bytes, big-endian, 0..n-1, one after the other. Bits are
 * numbered from the least significant of the first byte. Every function runs the same sequence of operations
 * whatever the values of its inputs are; callers guarantee the lengths. docs/spec/notation.md
 */
export interface Kernel {
  readonly name: string
  /** Keyed BLAKE3: 32-byte key, `length` bytes out. */
  readonly hash: KeyedHash
  /** For each row r of `rowLength` ≤ 60 bytes: keyed BLAKE3 of (u32 r ‖ row), `length` bytes out; results in order. */
  hashRows(key: Uint8Array, rows: Uint8Array, rowLength: number, length: number): Uint8Array
  /** 48 bytes → scalar, for each 48 bytes. */
  reduceScalars(wide: Uint8Array): Uint8Array
  /** Bit c of row r becomes bit r of row c. Both `rows` and `columns` are multiples of 8. */
  transpose(bits: Uint8Array, rows: number, columns: number): Uint8Array
  /**
   * The linear hash of the OT check in GF(2¹²⁸) (x¹²⁸+x⁷+x²+x+1, bit i the coefficient of xⁱ): each row is cut
   * into 16-byte blocks, the last 16 bytes being the mask and the block before it zero-padded; gives
   * Σ χ_k·block_k + mask for each row. One 16-byte χ for each block before the mask.
   */
  foldRows(rows: Uint8Array, rowLength: number, chi: Uint8Array): Uint8Array
  /** α0_{j,i} − α1_{j,i} + a_i for rows of `a.length/32` scalars. */
  maskInputs(alpha0: Uint8Array, alpha1: Uint8Array, a: Uint8Array): Uint8Array
  /** x_{j,2} + Σ_{i<2} θ_i·x_{j,i} for rows of three scalars. */
  combineRows(rows: Uint8Array, theta: Uint8Array): Uint8Array
  /** Σ_j g_j·x_{j,i} for i = 0, 1, rows of three scalars; gives two scalars. */
  gadgetSums(gadget: Uint8Array, rows: Uint8Array): Uint8Array
  /** g_j·x_{j,i} for i = 0, 1, rows of three scalars; gives i = 0 for all j, then i = 1. */
  gadgetProducts(gadget: Uint8Array, rows: Uint8Array): Uint8Array
  /** Σ_j β_j·x_j mod n, with the bits β secret. */
  selectedSum(choice: Uint8Array, scalars: Uint8Array): Uint8Array
  /** x_j + β_j·y_j mod n for each j, with the bits β secret. */
  addSelected(choice: Uint8Array, x: Uint8Array, y: Uint8Array): Uint8Array
}
