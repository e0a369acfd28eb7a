import {
  consistencyPath,
  hashOf,
  openCheckpoint,
  readEntryBundle,
  tileHashes,
  tilePath,
  tilesFor,
  verifyConsistency,
  widthIn,
  MOST_NOTE_LENGTH,
  type Checkpoint,
  type Hash,
  type TilePlace,
  type VerifierKey,
} from '@vertex/directory/log'
import { checkTree } from './check-tree.js'
import { LogBad, type GoodLog, type Progress } from './problem.js'

/**
 * Gets what a log publishes under a path.
 * @returns undefined for what it does not have
 * @throws LogUnreachable
 */
export type Get = (path: string, mostBytes: number) => Promise<Uint8Array | undefined>

/** The log does not answer now. */
export class LogUnreachable extends Error {
  override readonly name = 'LogUnreachable'
}

/** An entry has at most 65,535 bytes, and a bundle 256 of them. */
const MOST_BUNDLE = 256 * 65_537

/** The last checkpoint of a log. @throws LogBad `checkpoint_unsigned`; LogUnreachable */
export async function lastCheckpoint(
  get: Get,
  key: VerifierKey,
): Promise<Checkpoint & { readonly text: string }> {
  const bytes = await get('checkpoint', MOST_NOTE_LENGTH)
  if (bytes === undefined) throw new LogUnreachable('there is no checkpoint at this address')
  const text = textOf(bytes)
  const checkpoint = text === undefined ? undefined : openCheckpoint(text, key)
  if (checkpoint === undefined || text === undefined)
    throw new LogBad(
      'checkpoint_unsigned',
      `the checkpoint is not signed by ${key.name}+${key.keyId}`,
    )
  return { ...checkpoint, text }
}

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Checks a whole log by what it publishes. 7 @throws LogBad, LogUnreachable */
export async function verifyPublished(
  get: Get,
  key: VerifierKey,
  kept: readonly Checkpoint[],
  progress: Progress,
): Promise<GoodLog> {
  const checkpoint = await lastCheckpoint(get, key)
  const { size, root, origin } = checkpoint
  const kinds: Record<string, number> = {}
  await checkTree({
    checkpoint,
    kept,
    progress,
    entries: bundles(get, size),
    tile: (place) => tileAt(get, place, size),
    each: ({ kind }) => (kinds[kind] = (kinds[kind] ?? 0) + 1),
  })
  return { origin, size, root, kinds }
}

async function* bundles(get: Get, size: number): AsyncGenerator<Uint8Array[]> {
  for (let n = 0; n * 256 < size; n++) {
    const width = widthIn(size, { level: 0, n })
    const bytes = await get(`tile/${tilePath({ n, width }, 'entries')}`, MOST_BUNDLE)
    const entries = bytes && readEntryBundle(bytes, width)
    if (entries === undefined)
      throw new LogBad('entry_missing', `the entries from ${n * 256} on are not there`, n * 256)
    yield entries
  }
}

/** Undefined where it is not there, or not so many hashes. */
async function tileAt(get: Get, place: TilePlace, size: number): Promise<Hash[] | undefined> {
  const width = widthIn(size, place)
  const bytes = await get(`tile/${tilePath({ ...place, width }, place.level)}`, width * 32)
  return bytes && tileHashes(bytes, width)
}

/**
 * Whether a log shows that a checkpoint continues an older one.
 * @throws LogBad `unproven` where it does not give what that needs; LogUnreachable
 */
export async function continues(get: Get, older: Checkpoint, newer: Checkpoint): Promise<boolean> {
  if (older.size === newer.size || older.size === 0) return verifyConsistency(older, newer, [])
  const path = consistencyPath(older.size, newer.size)
  const tiles = new Map<string, Hash[]>()
  for (const place of tilesFor(path, newer.size)) {
    const hashes = await tileAt(get, place, newer.size)
    if (hashes === undefined)
      throw new LogBad(
        'unproven',
        `the log does not give tile ${place.level}/${place.n}, by which ${newer.size} entries would be shown to continue ${older.size}`,
      )
    tiles.set(`${place.level}/${place.n}`, hashes)
  }
  const proof = path.map((range) => hashOf(range, ({ level, n }) => tiles.get(`${level}/${n}`)))
  return verifyConsistency(older, newer, proof)
}
