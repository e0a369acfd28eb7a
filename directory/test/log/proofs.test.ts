import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyRoot, leafHash, rootOf, type Hash } from '../../src/log/merkle.js'
import {
  consistencyPath,
  equal,
  inclusionPath,
  verifyConsistency,
  verifyInclusion,
} from '../../src/log/proofs.js'
import { entriesOf, path, proof } from './naive.js'

const MOST = 300
const entries = entriesOf(MOST)
const leaves = entries.map(leafHash)
const rootAt = (size: number) => rootOf(leaves.slice(0, size))
const hashes = (ranges: readonly { from: number; to: number }[]): Hash[] =>
  ranges.map(({ from, to }) => rootOf(leaves.slice(from, to)))
const hex = (all: readonly Uint8Array[]) => all.map((one) => Buffer.from(one).toString('hex'))

/** A tree, and a leaf of it. */
const treeAndLeaf = fc
  .integer({ min: 1, max: MOST })
  .chain((size) => fc.record({ size: fc.constant(size), index: fc.nat(size - 1) }))
/** A tree, and an older one of at least one leaf. */
const twoTrees = fc
  .integer({ min: 1, max: MOST })
  .chain((size) => fc.record({ size: fc.constant(size), older: fc.integer({ min: 1, max: size }) }))

describe('inclusion', () => {
  it('is proven by the path of the definition, for every leaf of every tree up to 40', () => {
    for (let size = 1; size <= 40; size++)
      for (let index = 0; index < size; index++) {
        const found = hashes(inclusionPath(index, size))
        expect(hex(found)).toEqual(hex(path(index, entries.slice(0, size))))
        expect(verifyInclusion(leaves[index]!, index, size, found, rootAt(size))).toBe(true)
      }
  })

  it('is proven in any tree for any leaf', () => {
    fc.assert(
      fc.property(treeAndLeaf, ({ size, index }) => {
        const found = hashes(inclusionPath(index, size))
        expect(verifyInclusion(leaves[index]!, index, size, found, rootAt(size))).toBe(true)
      }),
    )
  })

  it('is not shown by a proof of which a byte is another', () => {
    fc.assert(
      fc.property(treeAndLeaf, fc.nat(), fc.nat(31), ({ size, index }, at, byte) => {
        const found = hashes(inclusionPath(index, size))
        fc.pre(found.length > 0)
        const bad = found.map((hash) => hash.slice())
        bad[at % bad.length]![byte]! ^= 1
        expect(verifyInclusion(leaves[index]!, index, size, bad, rootAt(size))).toBe(false)
      }),
    )
  })

  it('is not shown of another leaf, another place, another root, or in another tree', () => {
    fc.assert(
      fc.property(treeAndLeaf, fc.nat(MOST - 1), ({ size, index }, other) => {
        fc.pre(other !== index)
        const found = hashes(inclusionPath(index, size))
        const root = rootAt(size)
        expect(verifyInclusion(leaves[other]!, index, size, found, root)).toBe(false)
        expect(verifyInclusion(leaves[index]!, other, size, found, root)).toBe(false)
        expect(verifyInclusion(leaves[index]!, index, size, found, leaves[other]!)).toBe(
          size === 1 && equal(leaves[index]!, leaves[other]!),
        )
      }),
    )
  })

  it('is not shown by a proof that is too short or too long', () => {
    const found = hashes(inclusionPath(5, 100))
    const check = (given: readonly Hash[]) =>
      verifyInclusion(leaves[5]!, 5, 100, given, rootAt(100))
    expect(check(found)).toBe(true)
    expect(check(found.slice(1))).toBe(false)
    expect(check(found.slice(0, -1))).toBe(false)
    expect(check([...found, leaves[0]!])).toBe(false)
    expect(check([leaves[0]!, ...found])).toBe(false)
    expect(check([])).toBe(false)
  })

  it('of an inner node is not that of a leaf', () => {
    // Whoever gives an inner node for a leaf has a shorter path to the same root.
    const inner = rootOf(leaves.slice(0, 2))
    const found = hashes(inclusionPath(0, 8)).slice(1)
    expect(verifyInclusion(inner, 0, 4, found, rootAt(8))).toBe(true)
    expect(verifyInclusion(inner, 0, 8, found, rootAt(8))).toBe(false)
    // It is the tag of 1.2 that keeps such bytes from being the entry of that smaller tree.
    expect(equal(leafHash(Buffer.concat([leaves[0]!, leaves[1]!])), inner)).toBe(false)
  })

  it('is refused for what is no size, place or hash', () => {
    const leaf = leaves[0]!
    expect(verifyInclusion(leaf, 0, 1, [], leaf)).toBe(true)
    expect(verifyInclusion(leaf, 1, 1, [], leaf)).toBe(false)
    expect(verifyInclusion(leaf, 0, 0, [], leaf)).toBe(false)
    expect(verifyInclusion(leaf, -1, 1, [], leaf)).toBe(false)
    expect(verifyInclusion(leaf, 0.5, 1, [], leaf)).toBe(false)
    expect(verifyInclusion(leaf, 0, NaN, [], leaf)).toBe(false)
    expect(verifyInclusion(leaf, 0, 2 ** 60, [], leaf)).toBe(false)
    expect(verifyInclusion(leaf.slice(1), 0, 1, [], leaf.slice(1))).toBe(false)
    expect(() => inclusionPath(3, 3)).toThrow(RangeError)
    expect(() => inclusionPath(0, 2 ** 60)).toThrow(RangeError)
  })
})

describe('consistency', () => {
  it('is proven by the proof of the definition, between all trees up to 40', () => {
    for (let size = 1; size <= 40; size++)
      for (let older = 1; older <= size; older++) {
        const found = hashes(consistencyPath(older, size))
        expect(hex(found)).toEqual(hex(proof(older, entries.slice(0, size))))
        const [before, after] = [
          { size: older, root: rootAt(older) },
          { size, root: rootAt(size) },
        ]
        expect(verifyConsistency(before, after, found)).toBe(true)
      }
  })

  it('is proven between any two sizes', () => {
    fc.assert(
      fc.property(twoTrees, ({ size, older }) => {
        const found = hashes(consistencyPath(older, size))
        const before = { size: older, root: rootAt(older) }
        expect(verifyConsistency(before, { size, root: rootAt(size) }, found)).toBe(true)
      }),
    )
  })

  it('is not shown of a tree in which an older leaf is another, whatever the log gives as proof', () => {
    fc.assert(
      fc.property(twoTrees, fc.nat(), ({ size, older }, at) => {
        const changed = leaves.slice(0, size)
        changed[at % older] = leafHash(Uint8Array.of(9))
        const of = (from: number, to: number) => rootOf(changed.slice(from, to))
        const lie = consistencyPath(older, size).map(({ from, to }) => of(from, to))
        const truth = hashes(consistencyPath(older, size))
        const before = { size: older, root: rootAt(older) }
        const after = { size, root: of(0, size) }
        expect(verifyConsistency(before, after, lie)).toBe(false)
        expect(verifyConsistency(before, after, truth)).toBe(false)
        expect(verifyConsistency(before, after, [])).toBe(false)
      }),
    )
  })

  it('is not shown by a proof of which a byte is another, or which is too short or too long', () => {
    fc.assert(
      fc.property(twoTrees, fc.nat(), fc.nat(31), ({ size, older }, at, byte) => {
        fc.pre(older < size)
        const found = hashes(consistencyPath(older, size))
        const [before, after] = [
          { size: older, root: rootAt(older) },
          { size, root: rootAt(size) },
        ]
        const bad = found.map((hash) => hash.slice())
        bad[at % bad.length]![byte]! ^= 1
        expect(verifyConsistency(before, after, bad)).toBe(false)
        expect(verifyConsistency(before, after, found.slice(0, -1))).toBe(false)
        expect(verifyConsistency(before, after, found.slice(1))).toBe(false)
        expect(verifyConsistency(before, after, [...found, leaves[0]!])).toBe(false)
      }),
    )
  })

  it('is not shown with the older tree for the newer, or with other sizes', () => {
    const found = hashes(consistencyPath(6, 11))
    const six = { size: 6, root: rootAt(6) }
    const eleven = { size: 11, root: rootAt(11) }
    expect(verifyConsistency(six, eleven, found)).toBe(true)
    expect(verifyConsistency(eleven, six, found)).toBe(false)
    expect(verifyConsistency({ ...six, size: 5 }, eleven, found)).toBe(false)
    // From 9 to 12 leaves the proof for 6 has the same shape: the sizes are signed, the shape is not what shows them.
    expect(verifyConsistency(six, { ...eleven, size: 20 }, found)).toBe(false)
    expect(verifyConsistency(six, { size: 6, root: rootAt(5) }, [])).toBe(false)
    expect(verifyConsistency(six, six, [leaves[0]!])).toBe(false)
    expect(verifyConsistency(six, { size: 2 ** 60, root: rootAt(11) }, found)).toBe(false)
  })

  it('with a tree of a power of two is not shown by the hash that the verifier knows', () => {
    const before = { size: 4, root: rootAt(4) }
    const found = hashes(consistencyPath(4, 7))
    expect(verifyConsistency(before, { size: 7, root: rootAt(7) }, found)).toBe(true)
    expect(verifyConsistency(before, { size: 7, root: before.root }, [])).toBe(false)
  })

  it('with an empty tree needs no proof and takes none', () => {
    const empty = { size: 0, root: emptyRoot() }
    const three = { size: 3, root: rootAt(3) }
    expect(consistencyPath(0, 3)).toEqual([])
    expect(verifyConsistency(empty, three, [])).toBe(true)
    expect(verifyConsistency(empty, empty, [])).toBe(true)
    expect(verifyConsistency(empty, three, [leaves[0]!])).toBe(false)
    expect(verifyConsistency({ size: 0, root: leaves[0]! }, three, [])).toBe(false)
    expect(() => consistencyPath(4, 3)).toThrow(RangeError)
  })
})
