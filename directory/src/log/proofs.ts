import { emptyRoot, nodeHash, splitOf, type Hash, type Range } from './merkle.js'

// Proofs, by RFC 9162, section 2.1. docs/spec/directory-log.md, 1.5 to 1.8.

/** Of which nodes the inclusion proof of a leaf consists, from the leaf up. 1.5 @throws RangeError */
export function inclusionPath(index: number, size: number): Range[] {
  assertSize(size)
  if (!isCount(index) || index >= size) throw new RangeError('no such leaf in this tree')
  const path: Range[] = []
  let [from, to] = [0, size]
  while (to - from > 1) {
    const middle = from + splitOf(to - from)
    if (index < middle) {
      path.push({ from: middle, to })
      to = middle
    } else {
      path.push({ from, to: middle })
      from = middle
    }
  }
  return path.reverse()
}

/** Of which nodes the proof consists that a tree continues an older one. 1.7 @throws RangeError */
export function consistencyPath(older: number, size: number): Range[] {
  assertSize(size)
  if (!isCount(older) || older > size) throw new RangeError('the older tree is not the smaller one')
  if (older === 0) return []
  const path: Range[] = []
  let [from, to] = [0, size]
  // Whether the node in question is the root of the older tree, which the verifier knows.
  let known = true
  while (older !== to) {
    const middle = from + splitOf(to - from)
    if (older <= middle) {
      path.push({ from: middle, to })
      to = middle
    } else {
      path.push({ from, to: middle })
      from = middle
      known = false
    }
  }
  if (!known) path.push({ from, to })
  return path.reverse()
}

/** Whether the proof shows that the tree of this size and root has this leaf at this index. 1.6 */
export function verifyInclusion(
  leaf: Hash,
  index: number,
  size: number,
  proof: readonly Hash[],
  root: Hash,
): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false
  if (![leaf, root, ...proof].every(isHash)) return false
  let [place, last, hash] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return false
    if (isOdd(place) || place === last) {
      hash = nodeHash(sibling, hash)
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)]
    } else hash = nodeHash(hash, sibling)
    ;[place, last] = [half(place), half(last)]
  }
  return last === 0 && equal(hash, root)
}

/** Whether the proof shows that a tree continues an older one. 1.8 */
export function verifyConsistency(
  older: { readonly size: number; readonly root: Hash },
  newer: { readonly size: number; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  if (!isCount(older.size) || !isCount(newer.size) || older.size > newer.size) return false
  if (![older.root, newer.root, ...proof].every(isHash)) return false
  if (older.size === 0 && !equal(older.root, emptyRoot())) return false
  if (older.size === newer.size) return proof.length === 0 && equal(older.root, newer.root)
  if (older.size === 0) return proof.length === 0
  const path = isPowerOfTwo(older.size) ? [older.root, ...proof] : proof
  const [first, ...rest] = path
  // Where the proof would have to say something, an empty one says nothing.
  if (first === undefined || proof.length === 0) return false
  let [place, last] = [older.size - 1, newer.size - 1]
  while (isOdd(place)) [place, last] = [half(place), half(last)]
  let [before, after] = [first, first]
  for (const hash of rest) {
    if (last === 0) return false
    if (isOdd(place) || place === last) {
      before = nodeHash(hash, before)
      after = nodeHash(hash, after)
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)]
    } else after = nodeHash(after, hash)
    ;[place, last] = [half(place), half(last)]
  }
  return last === 0 && equal(before, older.root) && equal(after, newer.root)
}

const assertSize = (size: number) => {
  if (!isCount(size)) throw new RangeError('no such tree')
}

/** Sizes and places beyond 2⁵³ would not be exact. 1.9 */
const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
const isOdd = (value: number) => value % 2 === 1
const half = (value: number) => Math.floor(value / 2)
const isPowerOfTwo = (value: number) => splitOf(value + 1) === value
const isHash = (value: Uint8Array) => value.length === 32

/** Not in constant time: roots and proofs are public. */
export const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
