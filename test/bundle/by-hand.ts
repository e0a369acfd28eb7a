// Bundles made by another hand, from docs/spec/bundle.md alone, so that a test can make one that is wrong in one place.
import { createCipheriv, createHash, hkdfSync } from 'node:crypto'
import { signBundle, vaultIdentityPublicKey } from '@vertex/mpc'

export const u8 = (n: number) => Buffer.of(n)
export const u32 = (n: number) => {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(n)
  return out
}
export const u64 = (n: number) => {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(BigInt(n))
  return out
}
export const str = (text: string) => Buffer.concat([u8(text.length), Buffer.from(text)])
export const long = (bytes: Uint8Array | string) => {
  const buffer = Buffer.from(bytes as string)
  return Buffer.concat([u32(buffer.length), buffer])
}
export const row = (...parts: Uint8Array[]) => long(Buffer.concat(parts))

const derive = (secret: Uint8Array, label: string, name: string) =>
  Buffer.from(
    hkdfSync(
      'sha256',
      secret,
      'vertex/v1/backup-secret',
      Buffer.concat([Buffer.from(`${label}\0`), str(name)]),
      32,
    ),
  )
const fingerprint = (secret: Uint8Array) =>
  Buffer.from(hkdfSync('sha256', secret, 'vertex/v1/secret', Buffer.from('fingerprint\0\0'), 32))

/** What a bundle is made of; whatever is given differs from the right thing. */
export interface Parts {
  readonly secret: Uint8Array
  readonly vaultName: string
  readonly plaintext: Uint8Array
  readonly magic?: string
  readonly format?: number
  /** The rest of the prelude. */
  readonly body?: Uint8Array
  /** Where the plaintext is cut; after every 65,536 bytes without. */
  readonly cuts?: readonly number[]
  /** Which chunk is marked as the last. */
  readonly last?: number
  readonly signedName?: string
}

export function byHand(parts: Parts) {
  const { secret, vaultName, plaintext } = parts
  const body =
    parts.body ??
    Buffer.concat([
      str(vaultName),
      fingerprint(secret),
      str('a-secret'),
      str('v7'),
      u64(1_700_000_000_000),
      Buffer.alloc(16, 0xab),
      u64(12),
      Buffer.alloc(32, 0xcd),
    ])
  const prelude = Buffer.concat([
    Buffer.from(parts.magic ?? 'VTXBUNDL'),
    u8(parts.format ?? 1),
    u32(body.length),
    body,
  ])
  const salt = Buffer.alloc(32, 9)
  const info = Buffer.concat([
    Buffer.from('vertex/v1/bundle\0'),
    createHash('sha256').update(prelude).digest(),
  ])
  const keys = Buffer.from(hkdfSync('sha256', derive(secret, 'bundle', vaultName), salt, info, 64))
  const cuts = parts.cuts ?? everyChunk(plaintext.length)
  const chunks = cuts.map((from, i) => plaintext.subarray(from, cuts[i + 1] ?? plaintext.length))
  const marked = parts.last ?? chunks.length - 1
  const sealed = chunks.map((chunk, i) => {
    const last = i === marked ? 1 : 0
    const nonce = Buffer.concat([Buffer.alloc(3), u64(i), u8(last)])
    const cipher = createCipheriv('aes-256-gcm', keys.subarray(0, 32), nonce)
    const text = Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()])
    return Buffer.concat([u8(last), long(text)])
  })
  const pieces = { prelude, salt, commitment: keys.subarray(32), chunks: sealed }
  return { ...pieces, file: signed(parts, pieces) }
}

type Pieces = Record<'prelude' | 'salt' | 'commitment', Buffer> & { chunks: readonly Buffer[] }

/** Puts the pieces together and signs them, as somebody with the secret could. */
export function signed(
  { secret, vaultName, signedName }: Pick<Parts, 'secret' | 'vaultName' | 'signedName'>,
  { prelude, salt, commitment, chunks }: Pieces,
): Buffer {
  const before = Buffer.concat([prelude, salt, commitment, ...chunks])
  const seed = derive(secret, 'vault-identity', vaultName)
  const digest = createHash('sha256').update(before).digest()
  return Buffer.concat([before, signBundle(seed, { vaultName: signedName ?? vaultName, digest })])
}

export const identityOf = (secret: Uint8Array, vaultName: string) =>
  vaultIdentityPublicKey(derive(secret, 'vault-identity', vaultName))

function everyChunk(length: number): number[] {
  const cuts = []
  for (let at = 0; at < length; at += 65_536) cuts.push(at)
  return cuts
}
