import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyRoot, leafHash, nodesOf, rootOf, splitOf } from '../../src/log/merkle.js'
import { entriesOf, mth } from './naive.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

/** The eight inputs of the Certificate Transparency test suites, which all implementations of RFC 6962 share. */
const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(bytes)

/** Roots of the trees of the first 0, 1, … of them, from the same place. */
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

describe('the tree of RFC 6962', () => {
  it('has the known roots', () => {
    for (const [size, root] of roots.entries()) {
      expect(hex(rootOf(inputs.slice(0, size).map(leafHash)))).toBe(root)
      expect(hex(mth(inputs.slice(0, size)))).toBe(root)
    }
    expect(hex(emptyRoot())).toBe(roots[0])
  })

  it('has the root of the definition at every size', () => {
    const entries = entriesOf(600)
    const leaves = entries.map(leafHash)
    for (let size = 0; size <= 600; size += size < 70 ? 1 : 37)
      expect(hex(rootOf(leaves.slice(0, size)))).toBe(hex(mth(entries.slice(0, size))))
  })

  it('is split at the largest power of two below', () => {
    expect([2, 3, 4, 5, 8, 9, 1_000_000].map(splitOf)).toEqual([1, 2, 2, 4, 4, 8, 524_288])
    expect(splitOf(2 ** 52 + 1)).toBe(2 ** 52)
  })

  it('makes a node out of complete ones that cover it, the larger ones first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 1000 }),
        (at, count) => {
          // As the splits of a tree leave them: what begins a node is a multiple of what it has room for.
          const from = at * 2 ** Math.ceil(Math.log2(count))
          const nodes = nodesOf({ from, to: from + count })
          let next = from
          for (const { height, index } of nodes) {
            expect(index * 2 ** height).toBe(next)
            next += 2 ** height
          }
          expect(next).toBe(from + count)
          const heights = nodes.map(({ height }) => height)
          expect(heights).toEqual([...new Set(heights)].sort((a, b) => b - a))
        },
      ),
    )
  })
})
