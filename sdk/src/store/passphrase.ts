import { hkdf } from '@noble/hashes/hkdf.js'
import { scryptAsync } from '@noble/hashes/scrypt.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { RequestError, StoreCorruptError, WrongPassphraseError } from '../errors.js'

/** scrypt (RFC 7914) to 32 bytes. A parameter, because Node has a faster one than noble. */
export type Kdf = (
  passphrase: Uint8Array,
  salt: Uint8Array,
  cost: { readonly N: number; readonly r: number; readonly p: number },
) => Promise<Uint8Array>

/** noble's scrypt, in slices, so that a page stays alive. */
export const nobleKdf: Kdf = (passphrase, salt, cost) =>
  scryptAsync(passphrase, salt, { ...cost, dkLen: 32 })

/** What a file under a passphrase is: the store's own header, or an archive. */
export type SealedUse = 'store' | 'archive'

const uses = { store: 1, archive: 2 } as const
const MAGIC = utf8ToBytes('VTXPASS1')
const SALT_BYTES = 32
const R = 8
const P = 1
/** N = 2^17 takes 128 MiB and about half a second; less is refused, and more than 2^20 would be an attack on us. */
const MIN_LOG_N = 17
const MAX_LOG_N = 20
const PARAMETERS_BYTES = MAGIC.length + 4 + SALT_BYTES
export const HEADER_BYTES = PARAMETERS_BYTES + 32

/** A key from a passphrase, and the header that tells how it was made. */
export interface PassphraseKey {
  /** 32 bytes; never used for encryption itself. */
  readonly master: Uint8Array
  /** Parameters and key commitment; goes into the associated data of everything sealed below it. */
  readonly header: Uint8Array
}

/** Makes a key under a fresh salt. @throws RequestError for an empty passphrase or a cost out of bounds */
export async function newPassphraseKey(
  use: SealedUse,
  passphrase: string,
  kdf: Kdf,
  logN = MIN_LOG_N,
): Promise<PassphraseKey> {
  if (!Number.isInteger(logN) || logN < MIN_LOG_N || logN > MAX_LOG_N)
    throw new RequestError('bad_argument', `scrypt's N is 2^${MIN_LOG_N} to 2^${MAX_LOG_N}`)
  const parameters = concatBytes(
    MAGIC,
    Uint8Array.of(uses[use], logN, R, P),
    randomBytes(SALT_BYTES),
  )
  const master = await derive(parameters, passphrase, kdf)
  return { master, header: concatBytes(parameters, commitmentOf(master, parameters)) }
}

/**
 * Makes the key that a header was written with. Bounds are checked before any work is done.
 * @throws StoreCorruptError for a header that this SDK does not write
 * @throws WrongPassphraseError
 */
export async function openPassphraseKey(
  use: SealedUse,
  header: Uint8Array,
  passphrase: string,
  kdf: Kdf,
): Promise<PassphraseKey> {
  const parameters = header.slice(0, PARAMETERS_BYTES)
  const [usedFor, logN, r, p] = parameters.subarray(MAGIC.length)
  const known =
    header.length === HEADER_BYTES &&
    MAGIC.every((byte, i) => parameters[i] === byte) &&
    usedFor === uses[use] &&
    logN !== undefined &&
    logN >= MIN_LOG_N &&
    logN <= MAX_LOG_N &&
    r === R &&
    p === P
  if (!known) throw new StoreCorruptError(`this is not the header of a share ${use}`)
  const master = await derive(parameters, passphrase, kdf)
  if (!same(commitmentOf(master, parameters), header.subarray(PARAMETERS_BYTES))) {
    master.fill(0)
    throw new WrongPassphraseError(`the passphrase does not open this share ${use}`)
  }
  return { master, header: header.slice() }
}

/** A key of its own for one sealed value. */
export function subkey(master: Uint8Array, salt: Uint8Array, label: string): Uint8Array {
  return hkdf(sha256, master, salt, utf8ToBytes(`vertex/sdk/v1/${label}`), 32)
}

async function derive(parameters: Uint8Array, passphrase: string, kdf: Kdf): Promise<Uint8Array> {
  if (passphrase === '') throw new RequestError('bad_argument', 'the passphrase is empty')
  const logN = parameters[MAGIC.length + 1]!
  const secret = utf8ToBytes(passphrase.normalize('NFKC'))
  try {
    return await kdf(secret, parameters.slice(-SALT_BYTES), { N: 2 ** logN, r: R, p: P })
  } finally {
    secret.fill(0)
  }
}

// AES-GCM does not commit to its key: without this, one file could open under two passphrases.
const commitmentOf = (master: Uint8Array, parameters: Uint8Array) =>
  subkey(master, sha256(parameters), 'commitment')

function same(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0)
  return difference === 0
}
