import type { Address } from './machine.js'

/** The functions of the module that {@link wasmKernel} calls; mpc/kernel/assembly says what they do. */
export interface SymmetricFunctions {
  hash(
    key: Address,
    message: Address,
    length: number,
    work: Address,
    out: Address,
    blocks: number,
  ): void
  hashRows(
    key: Address,
    rows: Address,
    count: number,
    width: number,
    out: Address,
    blocks: number,
  ): void
  transposeBits(
    from: Address,
    fromStep: number,
    to: Address,
    toStep: number,
    rows: number,
    columns: number,
  ): void
  positions(chi: Address, bits: number, to: Address): void
  foldRow(row: Address, elements: Address, bits: number, out: Address): void
  foldColumns(
    columns: Address,
    turned: Address,
    bits: number,
    table: Address,
    bitsOfSums: Address,
    out: Address,
  ): void
  receiverRows(
    key: Address,
    leaves: Address,
    trees: number,
    x: Address,
    width: number,
    r: Address,
    u: Address,
    v: Address,
  ): void
  senderRows(
    key: Address,
    leaves: Address,
    trees: number,
    delta: Address,
    u: Address,
    width: number,
    r: Address,
    w: Address,
  ): void
  reduceScalars(wide: Address, count: number, out: Address): void
  pads(key: Address, columns: Address, count: number, out: Address): void
  maskInputs(
    key: Address,
    columns: Address,
    count: number,
    delta: Address,
    inputs: Address,
    alpha0: Address,
    masked: Address,
  ): void
  selectedSum(choice: Address, scalars: Address, count: number, out: Address): void
  senderEta(inputs: Address, theta: Address, out: Address): void
  senderSums(
    gadget: Address,
    alpha0: Address,
    theta: Address,
    count: number,
    rows: Address,
    sums: Address,
  ): void
  receiverSums(
    gadget: Address,
    choice: Address,
    gamma: Address,
    masked: Address,
    theta: Address,
    minusEta: Address,
    count: number,
    rows: Address,
    sums: Address,
  ): void
  // Four numbers at once, for tests; the second pair of a function of a pair is 8 bytes on.
  fourWide(words: Address, to: Address): void
  foldWidePair(wide: Address, to: Address): void
  subtractAddPair(x: Address, wide: Address, a: Address, columns: Address, to: Address): void
  fourToBytes(from: Address, to: Address, step: number): void
}
