import { createHash } from 'node:crypto'

// The definitions of RFC 6962, section 2.1, word for word and as slow as they read: what the real code is compared with.

export const h = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** The root of any range of leaves that a split leaves, with the complete ones kept: for trees too large for `mth`. */
export function rangeRoots(leaves: readonly Uint8Array[]) {
  const kept = new Map<string, Uint8Array>()
  return function root(from: number, to: number): Uint8Array {
    if (to - from === 1) return leaves[from]!
    const found = kept.get(`${from}-${to}`)
    if (found !== undefined) return found
    const k = from + largestPowerBelow(to - from)
    const made = h(Uint8Array.of(1), root(from, k), root(k, to))
    if (Number.isInteger(Math.log2(to - from))) kept.set(`${from}-${to}`, made)
    return made
  }
}

const largestPowerBelow = (n: number): number => 2 ** Math.floor(Math.log2(n - 1))

export function mth(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0) return h()
  if (entries.length === 1) return h(Uint8Array.of(0), entries[0]!)
  const k = largestPowerBelow(entries.length)
  return h(Uint8Array.of(1), mth(entries.slice(0, k)), mth(entries.slice(k)))
}

export function path(m: number, entries: readonly Uint8Array[]): Uint8Array[] {
  if (entries.length === 1) return []
  const k = largestPowerBelow(entries.length)
  return m < k
    ? [...path(m, entries.slice(0, k)), mth(entries.slice(k))]
    : [...path(m - k, entries.slice(k)), mth(entries.slice(0, k))]
}

export const proof = (m: number, entries: readonly Uint8Array[]) => subproof(m, entries, true)

function subproof(m: number, entries: readonly Uint8Array[], known: boolean): Uint8Array[] {
  if (m === entries.length) return known ? [] : [mth(entries)]
  const k = largestPowerBelow(entries.length)
  return m <= k
    ? [...subproof(m, entries.slice(0, k), known), mth(entries.slice(k))]
    : [...subproof(m - k, entries.slice(k), false), mth(entries.slice(0, k))]
}

/** Entries of a tree for tests: all different. */
export const entriesOf = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => Uint8Array.of(i >> 16, i >> 8, i, 7))
