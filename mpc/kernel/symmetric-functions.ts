import type { Address } from './machine.js'

/** The functions of the module that {@link wasmKernel} calls; what they do is said in mpc/kernel/assembly. */
export interface SymmetricFunctions {
  transposeBits(from: Address, to: Address, rows: number, columns: number): void
}
