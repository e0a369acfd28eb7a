import { concatBytes } from '@noble/hashes/utils.js'
import { joined, nodesOf, rootOf, emptyRoot, type Hash, type Node, type Range } from './merkle.js'

// The tree in tiles. docs/spec/directory-log.md, 3.1 to 3.5.

/** Hashes in a full tile. */
export const TILE_WIDTH = 256
/** Levels of the tree within one tile. */
const TILE_HEIGHT = 8
const HASH_BYTES = 32

/** Where a tile is: its level and its place there. */
export interface TilePlace {
  readonly level: number
  readonly n: number
}

/** A tile, or as much of it as there is in some tree. */
export interface TileRef extends TilePlace {
  /** 1 to 256. */
  readonly width: number
}

/** How many hashes a tile has in a tree of so many leaves. */
export function widthIn(size: number, { level, n }: TilePlace): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level) - n * TILE_WIDTH
  return Math.max(0, Math.min(TILE_WIDTH, hashes))
}

/** `L/N[.p/W]`, or `entries/N[.p/W]`. 3.2 */
export function tilePath({ n, width }: Omit<TileRef, 'level'>, level: number | 'entries'): string {
  const digits = String(n)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g)!
  const last = groups.pop()!
  const part = width === TILE_WIDTH ? '' : `.p/${width}`
  return [String(level), ...groups.map((group) => `x${group}`), last].join('/') + part
}

/** Undefined for anything but the text that {@link tilePath} makes. 3.2, 3.3 */
export function parseTilePath(
  path: string,
): (TileRef & { readonly of: 'hashes' | 'entries' }) | undefined {
  const found = /^(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/.exec(
    path,
  )
  if (found === null) return undefined
  const [, first, groups, part] = found
  const level = first === 'entries' ? 0 : Number(first)
  const tile = {
    level,
    n: Number(groups!.replaceAll(/[x/]/g, '')),
    width: part === undefined ? TILE_WIDTH : Number(part),
  }
  if (level > 63 || !Number.isSafeInteger(tile.n) || tile.width === 0) return undefined
  if (part !== undefined && tile.width >= TILE_WIDTH) return undefined
  // A leading zero, or a group too many: one tile has one path.
  if (tilePath(tile, first === 'entries' ? 'entries' : level) !== path) return undefined
  return { ...tile, of: first === 'entries' ? 'entries' : 'hashes' }
}

/** The hashes of a tile as it is served and kept: one after the other. */
export const tileBytes = (hashes: readonly Hash[]): Uint8Array => concatBytes(...hashes)

/** Undefined where the bytes are not so many hashes. */
export function tileHashes(bytes: Uint8Array, width: number): Hash[] | undefined {
  if (bytes.length !== width * HASH_BYTES) return undefined
  return Array.from({ length: width }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES))
}

/** Which hashes of which tile make a complete node. */
function within({ height, index }: Node): TilePlace & { first: number; count: number } {
  const level = Math.floor(height / TILE_HEIGHT)
  const count = 2 ** (height % TILE_HEIGHT)
  const start = index * count
  const n = Math.floor(start / TILE_WIDTH)
  return { level, n, first: start - n * TILE_WIDTH, count }
}

/** The tiles from which these nodes follow, each once, with their widths in a tree of so many leaves. */
export function tilesFor(ranges: readonly Range[], size: number): TileRef[] {
  const tiles = new Map<string, TileRef>()
  for (const node of ranges.flatMap(nodesOf)) {
    const { level, n } = within(node)
    tiles.set(`${level}/${n}`, { level, n, width: widthIn(size, { level, n }) })
  }
  return [...tiles.values()]
}

/** The hash of a node out of tiles. @throws RangeError where a tile is missing or too narrow */
export function hashOf(
  range: Range,
  tiles: (place: TilePlace) => readonly Hash[] | undefined,
): Hash {
  const hashes = nodesOf(range).map((node) => {
    const { level, n, first, count } = within(node)
    const found = tiles({ level, n })?.slice(first, first + count)
    if (found?.length !== count) throw new RangeError('a tile is missing')
    return rootOf(found)
  })
  return joined(hashes)
}

/**
 * The right edge of a tree: of each level the tile that is not full. From it the tree grows, and its root follows.
 */
export class Edge {
  /** By level: the hashes of the last tile, which is never full. */
  readonly #levels: Hash[][]
  #size: number

  /** @param levels by level, as {@link edgeTiles} asks for. @throws RangeError where they are not those of this size */
  constructor(size: number, levels: readonly (readonly Hash[])[]) {
    edgeTiles(size).forEach(({ level, width }) => {
      if (levels[level]?.length !== width) throw new RangeError('not the edge of this tree')
    })
    this.#size = size
    this.#levels = levels.map((hashes) => [...hashes])
  }

  get size(): number {
    return this.#size
  }

  root(): Hash {
    let below: Hash | undefined
    for (const hashes of this.#levels) {
      const all = below === undefined ? hashes : [...hashes, below]
      if (all.length > 0) below = rootOf(all)
    }
    return below ?? emptyRoot()
  }

  /** The tiles that are not full, but for those that are empty. */
  parts(): (TilePlace & { readonly hashes: readonly Hash[] })[] {
    return edgeTiles(this.#size).flatMap(({ level, n }) => {
      const hashes = this.#levels[level] ?? []
      return hashes.length === 0 ? [] : [{ level, n, hashes }]
    })
  }

  /** Takes in the next leaves. Answers every tile that changed, as it is now; each once. */
  append(leaves: readonly Hash[]): (TileRef & { readonly hashes: readonly Hash[] })[] {
    const changed = new Map<string, TileRef & { hashes: readonly Hash[] }>()
    const put = (level: number, hash: Hash) => {
      const hashes = (this.#levels[level] ??= [])
      const n = Math.floor(Math.floor(this.#size / TILE_WIDTH ** level) / TILE_WIDTH)
      hashes.push(hash)
      changed.set(`${level}/${n}`, { level, n, width: hashes.length, hashes: [...hashes] })
      if (hashes.length < TILE_WIDTH) return
      this.#levels[level] = []
      put(level + 1, rootOf(hashes))
    }
    for (const leaf of leaves) {
      put(0, leaf)
      this.#size++
    }
    return [...changed.values()]
  }
}

/** The tiles that are not full, by level, empty ones included: what an {@link Edge} is made of. */
export function edgeTiles(size: number): TileRef[] {
  const tiles: TileRef[] = []
  for (let level = 0, left = size; left > 0; level++, left = Math.floor(left / TILE_WIDTH))
    tiles.push({ level, n: Math.floor(left / TILE_WIDTH), width: left % TILE_WIDTH })
  return tiles
}

/** Entries as they are served: each after its length in two bytes. 3.5 @throws RangeError for one that is too long */
export function entryBundle(entries: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    ...entries.flatMap((entry) => {
      if (entry.length > 0xffff) throw new RangeError('an entry is too long')
      return [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry]
    }),
  )
}

/** Undefined where the bytes are not so many entries and nothing else. */
export function readEntryBundle(bytes: Uint8Array, count: number): Uint8Array[] | undefined {
  const entries: Uint8Array[] = []
  let at = 0
  while (at + 2 <= bytes.length) {
    const end = at + 2 + bytes[at]! * 256 + bytes[at + 1]!
    if (end > bytes.length) return undefined
    entries.push(bytes.slice(at + 2, end))
    at = end
  }
  return at === bytes.length && entries.length === count ? entries : undefined
}
