// What the kernel offers. Every function works on memory that the caller has laid out; none keeps a secret in it.
export { transposeBits } from './transpose'

/** Where memory is free for the caller: below it are constants and tables. */
export function arenaStart(): usize {
  return (__heap_base + 63) & ~63
}
