import {
  decodeEntry,
  Edge,
  equal,
  leafHash,
  TILE_WIDTH,
  type Checkpoint,
  type Entry,
  type Hash,
  type TilePlace,
} from '@vertex/directory/log'
import { LogBad, type Progress } from './problem.js'

export interface TreeToCheck {
  /** The entries of up to 256 places, from the first one on; fewer where there are no more. */
  readonly entries: AsyncIterable<readonly Uint8Array[]>
  /** The hashes of a tile, as many as there are. */
  readonly tile: (place: TilePlace, width: number) => Promise<readonly Hash[] | undefined>
  readonly checkpoint: Checkpoint
  /** Further checkpoints of this log, verified: this tree must continue them. */
  readonly kept: readonly Checkpoint[]
  readonly each?: (entry: Entry, index: number) => void
  readonly progress: Progress
}

/**
 * Makes the whole tree again from its entries, and compares it with the tiles and with what was signed. 7
 * @throws LogBad for the first that is wrong
 */
export async function checkTree(tree: TreeToCheck): Promise<void> {
  const { checkpoint, kept } = tree
  for (const one of kept)
    if (one.size > checkpoint.size)
      throw new LogBad(
        'not_continued',
        `a checkpoint that was kept has ${one.size} entries, and the log now shows ${checkpoint.size}`,
      )
  const heads = [...kept, checkpoint].sort((a, b) => a.size - b.size)
  const edge = new Edge(0, [])
  // Told last: where a tile is wrong too, that says more about where to look.
  let contradiction: LogBad | undefined
  const settle = () => {
    while (heads[0]?.size === edge.size) {
      const head = heads.shift()!
      if (equal(edge.root(), head.root)) continue
      contradiction ??=
        head === checkpoint
          ? new LogBad(
              'root_changed',
              `the root of ${head.size} entries is not the one that was signed`,
            )
          : new LogBad(
              'not_continued',
              `the first ${head.size} entries are not those of a checkpoint that was kept`,
            )
    }
  }
  settle()
  for await (const entries of tree.entries) {
    const n = edge.size / TILE_WIDTH
    const leaves = entries.map((bytes, i) => {
      const index = edge.size + i
      const entry = decodeEntry(bytes)
      if (entry === undefined)
        throw new LogBad('entry_malformed', `entry ${index} is not one`, index)
      tree.each?.(entry, index)
      return leafHash(bytes)
    })
    await compare(tree, { level: 0, n }, leaves)
    // Up to each size at which somebody has signed, and the tiles above as they become full.
    for (let at = 0; at < leaves.length;) {
      const next = heads[0] === undefined ? leaves.length : heads[0].size - edge.size + at
      const part = leaves.slice(at, Math.max(at + 1, Math.min(next, leaves.length)))
      const above = edge.append(part).filter(({ level }) => level > 0)
      for (const { level, n: place, hashes } of above)
        if (hashes.length === TILE_WIDTH) await compare(tree, { level, n: place }, hashes)
      at += part.length
      settle()
    }
    tree.progress(() => `${edge.size} of ${checkpoint.size} entries`)
  }
  if (edge.size < checkpoint.size)
    throw new LogBad(
      'entry_missing',
      `entry ${edge.size} is not there; the checkpoint has ${checkpoint.size}`,
      edge.size,
    )
  for (const { level, n, hashes } of edge.parts())
    if (level > 0) await compare(tree, { level, n }, hashes)
  if (contradiction !== undefined) throw contradiction
}

/** @throws LogBad */
async function compare(tree: TreeToCheck, place: TilePlace, made: readonly Hash[]): Promise<void> {
  const name = `tile ${place.level}/${place.n}`
  const found = await tree.tile(place, made.length)
  if (found === undefined || found.length < made.length)
    throw new LogBad('tile_changed', `${name} is not there, or too short`)
  const i = made.findIndex((hash, at) => !equal(hash, found[at]!))
  if (i === -1) return
  if (place.level > 0) {
    const first = (place.n * TILE_WIDTH + i) * TILE_WIDTH ** place.level
    throw new LogBad(
      'tile_changed',
      `${name} does not follow from the ones below: something in the ${TILE_WIDTH ** place.level} entries from ${first} on was changed`,
    )
  }
  const index = place.n * TILE_WIDTH + i
  throw new LogBad('entry_changed', `entry ${index} is not the one in its tile`, index)
}
