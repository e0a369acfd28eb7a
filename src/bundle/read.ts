import { createHash, timingSafeEqual } from 'node:crypto'
import { bytesToHex, verifyBundle, wipe } from '@vertex/mpc'
import { Malformed, Reader } from '../seal/bytes.js'
import type { BackupSecret } from '../seal/index.js'
import type { BundledRow } from '../store/bundled.js'
import { FRONT_BYTES, readBody, readFront, type BundleHeader } from './header.js'
import { BundleRefused, damaged, truncated } from './refused.js'
import { decodeRow } from './rows.js'
import {
  bundleKeys,
  CHUNK_BYTES,
  COMMITMENT_BYTES,
  openChunk,
  SALT_BYTES,
  SIGNATURE_BYTES,
  TAG_BYTES,
} from './seal.js'

/** Who may open what. */
export interface BundleReader {
  /** VERTEX_VAULT_NAME of this server. */
  readonly vaultName: string
  /** Every enabled version of the backup secret. */
  readonly secrets: readonly BackupSecret[]
  /** The setting that names the backup secret, for messages. */
  readonly setting: string
}

/** A bundle whose header is understood and whose secret is here. */
export interface OpenedBundle {
  readonly header: BundleHeader
  /**
   * All rows. Each was authenticated with its place; that the file is whole and signed is known only when they have
   * ended. May be read once. @throws BundleRefused
   */
  readonly rows: AsyncIterable<BundledRow>
}

/**
 * Opens a bundle: docs/spec/bundle.md, steps 4.1 to 4.6; the rows go through 4.7 to 4.11.
 * @throws BundleRefused
 */
export async function openBundle(
  file: AsyncIterable<Uint8Array>,
  reader: BundleReader,
): Promise<OpenedBundle> {
  const source = new Source(file)
  const front = await source.take(FRONT_BYTES)
  const body = await source.take(readFront(front))
  const header = readBody(body)
  const { vaultName } = header
  if (vaultName !== reader.vaultName)
    throw new BundleRefused(
      'bundle_of_other_vault',
      `VERTEX_VAULT_NAME: the bundle is of the vault ${vaultName}, not ${reader.vaultName}`,
    )
  const id = bytesToHex(header.secret.fingerprint)
  const secret = reader.secrets.find((one) => one.id === id)
  if (secret === undefined) throw missing(header, reader.setting)
  const salt = await source.take(SALT_BYTES)
  const commitment = await source.take(COMMITMENT_BYTES)
  const keys = bundleKeys(secret, salt, Buffer.concat([front, body]))
  if (!timingSafeEqual(keys.commitment, commitment)) throw damaged('commitment')
  return { header, rows: rowsOf(source, keys.key, secret, vaultName) }
}

function missing({ secret }: BundleHeader, setting: string): BundleRefused {
  const version = secret.version === '' ? '' : `, version ${secret.version}`
  return new BundleRefused(
    'bundle_secret_missing',
    `${setting}: the bundle opens with the backup secret ${secret.name}${version} ` +
      `(fingerprint ${bytesToHex(secret.fingerprint).slice(0, 16)}), which is not among the enabled versions`,
  )
}

async function* rowsOf(
  source: Source,
  key: Uint8Array,
  secret: BackupSecret,
  vaultName: string,
): AsyncGenerator<BundledRow> {
  try {
    const plaintext = new Source(chunksOf(source, key), damaged('end of the rows'))
    let table = 0
    for (;;) {
      const length = new DataView((await plaintext.take(4)).buffer).getUint32(0)
      if (length === 0) break
      if (length > MAX_ROW) throw damaged('length of a row')
      const bytes = await plaintext.take(length)
      const row = decoded(bytes)
      wipe(bytes)
      if (row.table < table) throw damaged('order of the tables')
      table = row.table
      yield row
    }
    if (!(await plaintext.isAtEnd())) throw damaged('something behind the rows')
    const digest = source.digest()
    const signature = await source.take(SIGNATURE_BYTES)
    if (!verifyBundle(secret.identityPublicKey, { vaultName, digest }, signature))
      throw damaged('signature')
    if (!(await source.isAtEnd())) throw damaged('something behind the signature')
  } finally {
    wipe(key)
  }
}

const MAX_ROW = 2 ** 20

function decoded(bytes: Uint8Array): BundledRow {
  try {
    return decodeRow(bytes)
  } catch (error) {
    if (error instanceof Malformed) throw damaged('a row')
    throw error
  }
}

async function* chunksOf(source: Source, key: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let index = 0, last = false; !last; index++) {
    const front = new Reader(await source.take(5))
    const flag = front.u8()
    last = flag === 1
    const length = front.u32() - TAG_BYTES
    const fits = last ? length >= 1 && length <= CHUNK_BYTES : length === CHUNK_BYTES
    if (flag > 1 || !fits) throw damaged(`length of chunk ${index}`)
    const chunk = openChunk(key, { index, last }, await source.take(length + TAG_BYTES))
    if (chunk === undefined) throw damaged(`chunk ${index}`)
    yield chunk
  }
}

/** Takes bytes from the front of a stream, and keeps the hash of what was taken. */
class Source {
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #early: Error | undefined
  readonly #taken = createHash('sha256')
  #rest: Uint8Array = new Uint8Array(0)

  /** @param early thrown when it ends before what is asked for; else that the file is truncated */
  constructor(pieces: AsyncIterable<Uint8Array>, early?: Error) {
    this.#pieces = pieces[Symbol.asyncIterator]()
    this.#early = early
  }

  /** The next bytes, a copy. */
  async take(length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length)
    for (let at = 0; at < length;) {
      if (await this.isAtEnd()) throw this.#early ?? truncated()
      const part = this.#rest.subarray(0, length - at)
      out.set(part, at)
      at += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    this.#taken.update(out)
    return out
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next()
      if (next.done === true) return true
      this.#rest = next.value
    }
    return false
  }

  /** SHA-256 of everything taken so far. */
  digest(): Uint8Array {
    return this.#taken.copy().digest()
  }
}
