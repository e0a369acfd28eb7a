import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { leafHash, rootOf, type Hash } from '../../src/log/merkle.js'
import { consistencyPath, inclusionPath } from '../../src/log/proofs.js'
import {
  Edge,
  edgeTiles,
  entryBundle,
  hashOf,
  parseTilePath,
  readEntryBundle,
  tileBytes,
  tileHashes,
  tilePath,
  tilesFor,
  TILE_WIDTH,
  widthIn,
  type TilePlace,
} from '../../src/log/tiles.js'
import { entriesOf, rangeRoots } from './naive.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const SIZE = 70_000
const leaves = entriesOf(SIZE).map(leafHash)
const rootAt = rangeRoots(leaves)

/** A log that keeps tiles as a server does, growing by batches of these sizes. */
function grown(batches: readonly number[]) {
  const tiles = new Map<string, readonly Hash[]>()
  const key = ({ level, n }: TilePlace) => `${level}/${n}`
  let edge = new Edge(0, [])
  for (const batch of batches) {
    for (const tile of edge.append(leaves.slice(edge.size, edge.size + batch)))
      tiles.set(key(tile), tile.hashes)
    // As after a restart: from nothing but the tiles.
    const kept = edgeTiles(edge.size).map((tile) =>
      (tiles.get(key(tile)) ?? []).slice(0, tile.width),
    )
    edge = new Edge(edge.size, kept)
  }
  return { edge, tiles, at: (place: TilePlace) => tiles.get(key(place)) }
}

describe('tiles', () => {
  const whole = grown([1, 255, 1, 767, 60_000, 5_000, 3_976])

  it('of a tree of 70,000 are those of the example in tlog-tiles', () => {
    expect(whole.edge.size).toBe(SIZE)
    const at = (level: number, n: number) => widthIn(SIZE, { level, n })
    expect([at(0, 272), at(0, 273), at(0, 274)]).toEqual([256, 112, 0])
    expect([at(1, 0), at(1, 1), at(1, 2)]).toEqual([256, 17, 0])
    expect([at(2, 0), at(2, 1), at(3, 0)]).toEqual([1, 0, 0])
    for (const [key, hashes] of whole.tiles) {
      const [level, n] = key.split('/').map(Number) as [number, number]
      expect(hashes.length).toBe(at(level, n))
    }
    expect(whole.tiles.size).toBe(274 + 2 + 1)
    expect(widthIn(256, { level: 0, n: 0 })).toBe(256)
    expect(widthIn(256, { level: 1, n: 0 })).toBe(1)
  })

  it('give the root at every step of growing', () => {
    expect(hex(whole.edge.root())).toBe(hex(rootOf(leaves)))
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 5 }), (batches) => {
        const { edge } = grown(batches)
        expect(hex(edge.root())).toBe(hex(rootOf(leaves.slice(0, edge.size))))
      }),
      { numRuns: 30 },
    )
  })

  it('give every hash of every proof, out of those tiles that are asked for and no wider', () => {
    const sizes = fc.integer({ min: 1, max: SIZE })
    fc.assert(
      fc.property(sizes, fc.nat(), (size, some) => {
        const paths = [
          ...inclusionPath(some % size, size),
          ...consistencyPath((some % size) + 1, size),
          { from: 0, to: size },
        ]
        const asked = new Map(
          tilesFor(paths, size).map((tile) => {
            expect(tile.width).toBe(widthIn(size, tile))
            expect(tile.width).toBeGreaterThan(0)
            return [`${tile.level}/${tile.n}`, whole.at(tile)!.slice(0, tile.width)]
          }),
        )
        for (const range of paths)
          expect(hex(hashOf(range, ({ level, n }) => asked.get(`${level}/${n}`)))).toBe(
            hex(rootAt(range.from, range.to)),
          )
      }),
      { numRuns: 40 },
    )
  })

  it('that are missing or too narrow give no hash', () => {
    expect(() => hashOf({ from: 0, to: 300 }, () => undefined)).toThrow(RangeError)
    expect(() => hashOf({ from: 0, to: 300 }, (tile) => whole.at(tile)!.slice(0, 1))).toThrow(
      RangeError,
    )
  })

  it('that are not those of the size make no edge', () => {
    expect(() => new Edge(3, [leaves.slice(0, 2)])).toThrow(RangeError)
    expect(() => new Edge(257, [leaves.slice(0, 1)])).toThrow(RangeError)
    expect(new Edge(2, [leaves.slice(0, 2)]).size).toBe(2)
  })

  it('have one path, and a path is of one tile', () => {
    expect(tilePath({ n: 1_234_067, width: 256 }, 0)).toBe('0/x001/x234/067')
    expect(tilePath({ n: 0, width: 3 }, 'entries')).toBe('entries/000.p/3')
    const tile = fc.record({
      level: fc.integer({ min: 0, max: 63 }),
      n: fc.oneof(fc.nat(2000), fc.maxSafeNat()),
      width: fc.integer({ min: 1, max: TILE_WIDTH }),
    })
    fc.assert(
      fc.property(tile, fc.boolean(), (given, entries) => {
        const path = tilePath(given, entries ? 'entries' : given.level)
        expect(parseTilePath(path)).toEqual({
          ...given,
          level: entries ? 0 : given.level,
          of: entries ? 'entries' : 'hashes',
        })
      }),
    )
  })

  it.each([
    '',
    '0',
    '0/0',
    '0/00',
    '0/0000',
    '00/000',
    '64/000',
    '-1/000',
    '0/x000/000',
    '0/001/002',
    '0/x001',
    '0/x1/000',
    '0/000.p/0',
    '0/000.p/01',
    '0/000.p/256',
    '0/000.p/300',
    '0/000.p/',
    '0/000/',
    '/0/000',
    '0//000',
    '0/000.p/1/2',
    'data/000',
    'entries/0',
    '0/x999/x999/x999/x999/x999/999',
    '0/000\n',
  ])('have no path %j', (path) => {
    expect(parseTilePath(path)).toBeUndefined()
  })

  it('are read back as they were written, and as nothing else', () => {
    const some = leaves.slice(0, 5)
    expect(tileHashes(tileBytes(some), 5)).toEqual(some)
    expect(tileHashes(tileBytes(some), 4)).toBeUndefined()
    expect(tileHashes(tileBytes(some).slice(1), 5)).toBeUndefined()
  })
})

describe('entries', () => {
  it('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }), (entries) => {
        expect(readEntryBundle(entryBundle(entries), entries.length)).toEqual(entries)
      }),
    )
  })

  it('are not read from anything else', () => {
    const bundle = entryBundle([Uint8Array.of(1, 2), Uint8Array.of(3)])
    expect(hex(bundle)).toBe('00020102000103')
    expect(readEntryBundle(bundle, 1)).toBeUndefined()
    expect(readEntryBundle(bundle, 3)).toBeUndefined()
    expect(readEntryBundle(bundle.slice(0, -1), 2)).toBeUndefined()
    expect(readEntryBundle(Uint8Array.of(...bundle, 0), 2)).toBeUndefined()
    expect(() => entryBundle([new Uint8Array(65_536)])).toThrow(RangeError)
  })
})
