import { createHash, randomBytes } from 'node:crypto'
import { concatBytes, signBundle, wipe } from '@vertex/mpc'
import { u32, u8 } from '../seal/bytes.js'
import type { BackupSecret } from '../seal/index.js'
import type { BundledRow } from '../store/bundled.js'
import { encodeHeader, type BundleHeader } from './header.js'
import { encodeRow } from './rows.js'
import { bundleKeys, CHUNK_BYTES, SALT_BYTES, sealChunk } from './seal.js'

/**
 * The bytes of a bundle, piece by piece: no more than one chunk and one row are held at a time, and the next row is
 * asked for when the piece before was taken. docs/spec/bundle.md, sections 2 and 3
 * @param secret the version of the backup secret that the header names
 * @param rows their bytes are wiped once they are written
 */
export async function* writeBundle(
  secret: BackupSecret,
  header: BundleHeader,
  rows: AsyncIterable<BundledRow>,
): AsyncGenerator<Uint8Array, void> {
  const written = createHash('sha256')
  const signed = (piece: Uint8Array) => {
    written.update(piece)
    return piece
  }
  const prelude = encodeHeader(header)
  const salt = randomBytes(SALT_BYTES)
  const { key, commitment } = bundleKeys(secret, salt, prelude)
  try {
    yield signed(concatBytes(prelude, salt, commitment))
    let index = 0
    for await (const { chunk, last } of chunksOf(plaintextOf(rows))) {
      const sealed = sealChunk(key, { index: index++, last }, chunk)
      wipe(chunk)
      yield signed(concatBytes(u8(last ? 1 : 0), u32(sealed.length), sealed))
    }
    const digest = written.digest()
    yield signBundle(secret.identitySeed(), { vaultName: header.vaultName, digest })
  } finally {
    wipe(key)
  }
}

async function* plaintextOf(rows: AsyncIterable<BundledRow>): AsyncGenerator<Uint8Array> {
  for await (const row of rows) {
    const bytes = encodeRow(row)
    yield u32(bytes.length)
    yield bytes
    wipe(bytes)
    for (const cell of row.cells) if (cell instanceof Uint8Array) wipe(cell)
  }
  yield u32(0)
}

/** Full chunks and, at the end, one that is not empty. */
async function* chunksOf(plaintext: AsyncIterable<Uint8Array>) {
  let chunk = new Uint8Array(CHUNK_BYTES)
  let filled = 0
  for await (const bytes of plaintext)
    for (let at = 0; at < bytes.length;) {
      // Only when there is more is it known that a full chunk is not the last.
      if (filled === CHUNK_BYTES) {
        yield { chunk, last: false }
        chunk = new Uint8Array(CHUNK_BYTES)
        filled = 0
      }
      const part = bytes.subarray(at, at + CHUNK_BYTES - filled)
      chunk.set(part, filled)
      filled += part.length
      at += part.length
    }
  yield { chunk: chunk.subarray(0, filled), last: true }
}
