import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes } from '@noble/hashes/utils.js'

// The tree. docs/spec/directory-log.md, section 1.

/** 32 bytes. */
export type Hash = Uint8Array

/** The largest tree there is: sizes and indexes are exact numbers. 1.9 */
export const MOST_LEAVES = Number.MAX_SAFE_INTEGER

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

/** 1.1 */
export const emptyRoot = (): Hash => sha256(new Uint8Array())

/** 1.2 */
export const leafHash = (entry: Uint8Array): Hash => sha256(concatBytes(LEAF, entry))

/** 1.3 */
export const nodeHash = (left: Hash, right: Hash): Hash => sha256(concatBytes(NODE, left, right))

/** The root over these leaves, the last of which may stand for an incomplete tree on the right. 1.4 */
export function rootOf(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot()
  let level = leaves
  while (level.length > 1) {
    const above: Hash[] = []
    for (let i = 0; i < level.length; i += 2) {
      const right = level[i + 1]
      // One without a sibling is its own parent, until it meets one: that is where 1.4 splits.
      above.push(right === undefined ? level[i]! : nodeHash(level[i]!, right))
    }
    level = above
  }
  return level[0]!
}

/** Leaves from `from` to before `to`, which make one node of a tree. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** The largest power of two below n. 1.4 */
export function splitOf(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** A node whose leaves are all there: the one of this place at this height above the leaves. */
export interface Node {
  readonly height: number
  readonly index: number
}

/** The complete nodes that make a node of a tree, from the left, which is where the larger ones are. */
export function nodesOf({ from, to }: Range): Node[] {
  const nodes: Node[] = []
  let at = from
  while (at < to) {
    let [width, height] = [1, 0]
    while (width * 2 <= to - at) [width, height] = [width * 2, height + 1]
    nodes.push({ height, index: at / width })
    at += width
  }
  return nodes
}

/** The hash of a node from those that make it. */
export const joined = (hashes: readonly Hash[]): Hash =>
  hashes.length === 0
    ? emptyRoot()
    : hashes.reduceRight((right: Hash | undefined, left) =>
        right === undefined ? left : nodeHash(left, right),
      )
