import type { KeyedHash } from '../transcript.js'

/** What the OT extension's receiver makes of its leaves: 128 rows, and what corrects them for the sender. */
export interface ReceiverRows {
  readonly u: Uint8Array
  /** Secret. */
  readonly rows: Uint8Array
}

/** The keys of one direction of a multiplication: of its pads, of θ and of μ. docs/spec/notation.md */
export interface MultiplicationKeys {
  readonly pad: Uint8Array
  readonly theta: Uint8Array
  readonly mu: Uint8Array
}

/**
 * The hot symmetric work of OT and VOLE, over flat byte arrays so that a WebAssembly kernel can take the place of
 * the reference without changing a byte. Scalars are 32 bytes, big-endian, 0..n-1, one after the other. Bits are
 * numbered from the least significant of the first byte. Every function runs the same sequence of operations
 * whatever the values of its inputs are; callers guarantee the lengths. The extension has 128 rows, of 416 or 128
 * choice bits and then 16 bytes of mask; a multiplication has 416 rows of three scalars. docs/spec/notation.md
 */
export interface Kernel {
  readonly name: string
  /** Keyed BLAKE3: 32-byte key, `length` bytes out. */
  readonly hash: KeyedHash
  /** For each row r of `rowLength` ≤ 60 bytes: keyed BLAKE3 of (u32 r ‖ row), `length` bytes out; results in order. */
  hashRows(key: Uint8Array, rows: Uint8Array, rowLength: number, length: number): Uint8Array
  /** 48 bytes → scalar, for each 48 bytes. */
  reduceScalars(wide: Uint8Array): Uint8Array

  /** The extension receiver's u and v for x = choice ‖ mask. docs/spec/ot.md, steps 3.1.1, 3.1.3 and 3.1.4 */
  receiverRows(key: Uint8Array, leaves: Uint8Array, x: Uint8Array): ReceiverRows
  /** The extension sender's rows w. docs/spec/ot.md, steps 3.2.1–3.2.3 */
  senderRows(key: Uint8Array, leaves: Uint8Array, delta: Uint8Array, u: Uint8Array): Uint8Array
  /**
   * The linear hash of the OT check in GF(2¹²⁸) (x¹²⁸+x⁷+x²+x+1, bit i the coefficient of xⁱ): a row is cut into
   * 16-byte blocks, the last 16 bytes being the mask and the block before it zero-padded; gives
   * Σ χ_k·block_k + mask. One 16-byte χ for each block before the mask. docs/spec/ot.md, step 3.1.6
   */
  foldRow(row: Uint8Array, rowLength: number, chi: Uint8Array): Uint8Array
  /** The same for each of the 128 rows; and the choice bits' columns, 16 bytes each. Steps 3.1.7–8, 3.2.5 and 3.2.7 */
  foldRows(rows: Uint8Array, chi: Uint8Array): { sums: Uint8Array; columns: Uint8Array }

  /** Σ_j β_j·x_j mod n, with the bits β secret. docs/spec/vole.md, step 3.3 */
  selectedSum(choice: Uint8Array, scalars: Uint8Array): Uint8Array
  /**
   * The sender's answer ã ‖ η ‖ μ to the receiver's message, for three inputs a_u, a_v, â; and Σ_j g_j·α0_{j,i} for
   * i = 0, 1, which is secret. `columns` are w. docs/spec/vole.md, steps 4.3–4.8
   */
  answerMultiplication(
    keys: MultiplicationKeys,
    gadget: Uint8Array,
    columns: Uint8Array,
    delta: Uint8Array,
    inputs: Uint8Array,
    message: Uint8Array,
  ): { answer: Uint8Array; sums: Uint8Array }
  /**
   * The receiver's μ, to be compared with the answer's, and Σ_j g_j·(γ_{j,i} + β_j·ã_{j,i}) for i = 0, 1. Both are
   * secret. `columns` are v; all scalars of the answer are below n. docs/spec/vole.md, steps 3.4, 5.3, 5.4 and 5.6
   */
  finishMultiplication(
    keys: MultiplicationKeys,
    gadget: Uint8Array,
    beta: Uint8Array,
    columns: Uint8Array,
    message: Uint8Array,
    answer: Uint8Array,
  ): { mu: Uint8Array; sums: Uint8Array }
}
