import {
  Edge,
  edgeTiles,
  equal,
  hashOf,
  tileHashes,
  tilesFor,
  type Hash,
  type Range,
  type TilePlace,
  type TileRef,
  type TreeHead,
} from '@vertex/directory/log'
import type { Unit, UnitStore } from '../../store/index.js'
import { TILES, type TileRow } from './tables.js'

/** The log is not as this server left it. It must not be continued: that would be signing what somebody changed. */
export class LogRefused extends Error {
  override readonly name = 'LogRefused'
}

/** Reads tiles, each as wide as it is kept. A missing one is missing in the answer. */
export type ReadTiles = (places: readonly TilePlace[]) => Promise<ReadonlyMap<string, Uint8Array>>

const keyOf = ({ level, n }: TilePlace) => `${level}/${n}`

/** Tiles as the unit sees them. */
export const tilesIn =
  (unit: Unit): ReadTiles =>
  async (places) => {
    if (places.length === 0) return new Map()
    const where = places.map(({ level, n }) => ({ level, n }))
    const rows = await unit.verb((manager) => manager.find<TileRow>(TILES, { where }))
    return new Map(rows.map((row) => [keyOf(row), new Uint8Array(row.hashes)]))
  }

/** Tiles as they are committed. */
export const tilesOf =
  (store: UnitStore): ReadTiles =>
  async (places) => {
    const found = new Map<string, Uint8Array>()
    for (const place of places) {
      const [row] = await store.select(`SELECT hashes FROM ${TILES} WHERE level = $1 AND n = $2`, [
        place.level,
        place.n,
      ])
      if (row !== undefined) found.set(keyOf(place), new Uint8Array(row['hashes'] as Buffer))
    }
    return found
  }

/** A tile as wide as asked for. @throws LogRefused where it is not there, or too narrow */
export function cut(tiles: ReadonlyMap<string, Uint8Array>, tile: TileRef): Hash[] {
  const bytes = tiles.get(keyOf(tile))?.subarray(0, tile.width * 32) ?? new Uint8Array()
  const hashes = tileHashes(bytes, tile.width)
  if (hashes === undefined) throw new LogRefused(`tile ${keyOf(tile)} of the log is not whole`)
  return hashes
}

/** The hashes of nodes of a tree of so many leaves. @throws LogRefused */
export async function hashesOf(
  read: ReadTiles,
  ranges: readonly Range[],
  size: number,
): Promise<Hash[]> {
  const wanted = tilesFor(ranges, size)
  const found = await read(wanted)
  const tiles = new Map(wanted.map((tile) => [keyOf(tile), cut(found, tile)]))
  return ranges.map((range) => hashOf(range, (place) => tiles.get(keyOf(place))))
}

/** The right edge of a tree of so many leaves. @throws LogRefused */
export async function edgeAt(read: ReadTiles, size: number): Promise<Edge> {
  const wanted = edgeTiles(size)
  const found = await read(wanted.filter(({ width }) => width > 0))
  return new Edge(
    size,
    wanted.map((tile) => (tile.width === 0 ? [] : cut(found, tile))),
  )
}

/** That a tree of so many leaves has the older one's leaves first. docs/spec/directory-log.md, 6.4. @throws LogRefused */
export async function assertContinues(
  read: ReadTiles,
  older: TreeHead | undefined,
  size: number,
): Promise<void> {
  if (older === undefined || older.size === 0) return
  if (size < older.size)
    throw new LogRefused(`the log has ${size} entries; this server has signed ${older.size}`)
  const [root] = await hashesOf(read, [{ from: 0, to: older.size }], older.size)
  if (root === undefined || !equal(root, older.root))
    throw new LogRefused(
      `the first ${older.size} entries of the log are not those that were signed`,
    )
}
