import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  timingSafeEqual,
} from 'node:crypto'

/**
 * The backup format a second time, from docs/spec/backup-envelope.md and node:crypto alone. Nothing of the product is
 * imported here: what this opens, someone else can open too.
 */

export interface Fields {
  vaultName: string
  userId: string
  protocol: string
  curve: string
  keyId: string
  publicKey: Buffer
  party: number
  threshold: number
  parties: { keygenId: Buffer; publicShare: Buffer }[]
  epoch: number
  chainCodeHash: Buffer
  fingerprint: Buffer
  secretName: string
  secretVersion: string
  createdAt: bigint
}

/** A part of a blob: its name and where it stands. */
export interface Part {
  readonly name: string
  readonly from: number
  readonly to: number
}

export function backupKey(secret: Uint8Array, vaultName: string): Buffer {
  const name = Buffer.from(vaultName)
  const info = Buffer.concat([Buffer.from('backup\0'), Buffer.of(name.length), name])
  return Buffer.from(hkdfSync('sha256', secret, 'vertex/v1/backup-secret', info, 32))
}

export function fingerprintOf(secret: Uint8Array): Buffer {
  const info = Buffer.from('fingerprint\0\0')
  return Buffer.from(hkdfSync('sha256', secret, 'vertex/v1/secret', info, 32))
}

export function blobKeys(key: Uint8Array, salt: Uint8Array, prelude: Uint8Array): [Buffer, Buffer] {
  const hash = createHash('sha256').update(prelude).digest()
  const info = Buffer.concat([Buffer.from('vertex/v1/backup-blob\0'), Buffer.of(1), hash])
  const both = Buffer.from(hkdfSync('sha256', key, salt, info, 64))
  return [both.subarray(0, 32), both.subarray(32)]
}

/** Reads a blob, opening it if it is encrypted. */
export function openByHand(text: string, secret: Uint8Array, vaultName: string) {
  const blob = Buffer.from(text, 'base64')
  const { fields, parts, suite } = takeApart(blob)
  const part = (name: string) => {
    const { from, to } = parts.find((one) => one.name === name)!
    return blob.subarray(from, to)
  }
  if (suite === 0) {
    const body = blob.subarray(0, blob.length - 32)
    if (!createHash('sha256').update(body).digest().equals(part('checksum')))
      throw new Error('checksum')
    return { fields, record: part('record') }
  }
  const prelude = blob.subarray(0, parts.find((one) => one.name === 'salt')!.from)
  const [key, commitment] = blobKeys(backupKey(secret, vaultName), part('salt'), prelude)
  if (!timingSafeEqual(commitment, part('commitment'))) throw new Error('commitment')
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: 16 })
  decipher.setAAD(prelude).setAuthTag(part('tag'))
  const record = Buffer.concat([decipher.update(part('ciphertext')), decipher.final()])
  return { fields, record }
}

/** Seals as somebody with the secret could who does not care whether header and share fit. */
export function sealByHand(
  fields: Fields,
  record: Uint8Array,
  secret: Uint8Array,
  salt = Buffer.alloc(32, 7),
): Buffer {
  const prelude = encodePrelude(1, fields)
  const [key, commitment] = blobKeys(backupKey(secret, fields.vaultName), salt, prelude)
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: 16 })
  cipher.setAAD(prelude)
  const body = Buffer.concat([cipher.update(record), cipher.final(), cipher.getAuthTag()])
  return Buffer.concat([prelude, salt, commitment, u32(body.length), body])
}

export function plaintextByHand(fields: Fields, record: Uint8Array): Buffer {
  const body = Buffer.concat([encodePrelude(0, fields), u32(record.length), record])
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

export function encodePrelude(suite: number, f: Fields): Buffer {
  const created = Buffer.alloc(8)
  created.writeBigUInt64BE(f.createdAt)
  const header = Buffer.concat([
    ...[f.vaultName, f.userId, f.protocol, f.curve, f.keyId].map(text),
    f.publicKey,
    Buffer.of(f.party, f.threshold, f.parties.length),
    ...f.parties.flatMap(({ keygenId, publicShare }) => [keygenId, publicShare]),
    u32(f.epoch),
    f.chainCodeHash,
    f.fingerprint,
    text(f.secretName),
    text(f.secretVersion),
    created,
  ])
  return Buffer.concat([Buffer.from('VTXBKP'), Buffer.of(1, suite), u32(header.length), header])
}

/** Every field with its place. */
export function takeApart(blob: Buffer): { fields: Fields; parts: Part[]; suite: number } {
  const parts: Part[] = []
  let at = 0
  const take = (name: string, length: number) => {
    parts.push({ name, from: at, to: at + length })
    return blob.subarray(at, (at += length))
  }
  const string = (name: string) => take(name, take(`${name} length`, 1)[0]!).toString('ascii')
  const long = (name: string) => take(name, take(`${name} length`, 4).readUInt32BE())
  take('magic', 6)
  take('format', 1)
  const suite = take('suite', 1)[0]!
  take('header length', 4)
  const fields: Fields = {
    vaultName: string('vault name'),
    userId: string('user id'),
    protocol: string('protocol'),
    curve: string('curve'),
    keyId: string('key id'),
    publicKey: take('public key', 33),
    party: take('party', 1)[0]!,
    threshold: take('threshold', 1)[0]!,
    parties: Array.from({ length: take('number of parties', 1)[0]! }, (_, i) => ({
      keygenId: take(`keygen id ${i + 1}`, 33),
      publicShare: take(`public share ${i + 1}`, 33),
    })),
    epoch: take('epoch', 4).readUInt32BE(),
    chainCodeHash: take('chain code hash', 32),
    fingerprint: take('fingerprint', 32),
    secretName: string('secret name'),
    secretVersion: string('secret version'),
    createdAt: take('created', 8).readBigUInt64BE(),
  }
  if (suite === 0) {
    long('record')
    take('checksum', 32)
  } else {
    take('salt', 32)
    take('commitment', 32)
    const length = take('ciphertext length', 4).readUInt32BE()
    take('ciphertext', length - 16)
    take('tag', 16)
  }
  return { fields, parts, suite }
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'ascii')])
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}
