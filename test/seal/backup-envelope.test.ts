import { createCipheriv, createDecipheriv } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { VaultError } from '../../src/vault/errors.js'
import type { BackupSeal } from '../../src/vault/ports.js'
import { BackupSecrets, plaintextBackups, SecretsUnavailable } from '../../src/seal/index.js'
import {
  backupKey,
  blobKeys,
  encodePrelude,
  fingerprintOf,
  openByHand,
  plaintextByHand,
  sealByHand,
  takeApart,
  type Fields,
} from './by-hand.js'
import { collidingCiphertext } from './gcm-collision.js'
import { dealRecord } from './shares.js'
import { heldSource, keyId, loadSecrets, outcome, sealWith, subject, suite } from './setup.js'
import { userId, vaultName, version } from './setup.js'

const secret = version(0x11)
const record = dealRecord(2, 2, 'envelope')
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
let seal: BackupSeal
let blob: Buffer
const plaintext = plaintextBackups({ vaultName, suite })

beforeAll(async () => {
  seal = await sealWith(heldSource(secret))
  blob = Buffer.from((await seal.seal(subject, record)).text, 'base64')
})

/** The blob's fields, to be changed. */
const fields = () => takeApart(Buffer.from(blob)).fields
const open = (bytes: Uint8Array | string) =>
  outcome(seal.open(typeof bytes === 'string' ? bytes : base64(bytes), userId))

describe('an encrypted backup', () => {
  it('opens to the record it was made from, with everything the header promises', async () => {
    const opened = await seal.open(base64(blob), userId)
    expect(opened.record).toEqual(record)
    expect(opened.header).toMatchObject({ vaultName, userId, keyId, party: 1, threshold: 2 })
    expect(opened.header.parties).toHaveLength(2)
    expect(opened.secret).toMatchObject({ name: 'backup', version: 'v17' })
    expect(opened.header.createdAt).toBe(subject.createdAt)
  })

  it('is opened by a second implementation that knows only the document', () => {
    const opened = openByHand(base64(blob), secret.bytes, vaultName)
    expect(new Uint8Array(opened.record)).toEqual(record)
    expect(opened.fields).toMatchObject({ vaultName, userId, keyId, protocol: 'dkls23' })
  })

  it('of the second implementation opens here', async () => {
    expect(await open(sealByHand(fields(), record, secret.bytes))).toBe('opened')
  })

  it('never gives the same bytes twice, and has a digest of its own', async () => {
    const [a, b] = [
      (await seal.seal(subject, record)).text,
      (await seal.seal(subject, record)).text,
    ]
    expect(a).not.toBe(b)
    const [x, y] = [await seal.open(a, userId), await seal.open(b, userId)]
    expect(x.digest).not.toEqual(y.digest)
    expect((await seal.open(a, userId)).digest).toEqual(x.digest)
  })

  it('does not hold the share or the chain code in the clear', () => {
    const hex = blob.toString('hex')
    expect(hex).not.toContain(Buffer.from(record.subarray(9, 41)).toString('hex'))
    expect(hex).not.toContain(Buffer.from(record.subarray(74, 106)).toString('hex'))
    expect(hex).not.toContain(Buffer.from(record.subarray(106, 138)).toString('hex'))
  })

  it('is refused with any byte changed: first, middle and last of every part', async () => {
    const { parts } = takeApart(blob)
    expect(parts).toHaveLength(35)
    for (const { name, from, to } of parts)
      for (const at of new Set([from, (from + to - 1) >> 1, to - 1]))
        for (const bit of [0x01, 0x80]) {
          const changed = Buffer.from(blob)
          changed[at]! ^= bit
          const result = await open(changed)
          expect(result, `${name}, byte ${at}`).toMatch(/^backup_invalid: /)
        }
  })

  it('is refused when cut at any part or one byte earlier or later, and when anything follows', async () => {
    for (const { from, to } of takeApart(blob).parts)
      for (const end of [from, from + 1, to - 1])
        if (end < blob.length) expect(await open(blob.subarray(0, end))).toMatch(/^backup_invalid/)
    for (const more of [1, 2, 3, 16, 1000])
      expect(await open(Buffer.concat([blob, Buffer.alloc(more)]))).toMatch(/^backup_invalid/)
    expect(await open(Buffer.concat([blob, blob]))).toMatch(/^backup_invalid/)
    expect(await open('')).toMatch(/^backup_invalid/)
  })

  it('is refused in any other text than the one base64 of its bytes', async () => {
    const text = base64(blob)
    const padded = text.endsWith('=')
    const tail = text.replace(/([A-Za-z0-9+/])(=*)$/, (_, c: string, p: string) => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
      return alphabet[alphabet.indexOf(c) ^ 1]! + p
    })
    const texts = [
      ` ${text}`,
      `${text}\n`,
      text.slice(0, 76) + '\n' + text.slice(76),
      `${text}====`,
      text.replaceAll('+', '-').replaceAll('/', '_') + (/[+/]/.test(text) ? '' : '-'),
      Buffer.from(blob).toString('hex'),
      `\u0000${text}`,
      `\ufeff${text}`,
      'A'.repeat(65_540),
      ...(padded ? [text.replace(/=+$/, ''), tail] : []),
    ]
    for (const other of texts) expect(await open(other)).toMatch(/^backup_invalid/)
  })

  const transplants: [string, (f: Fields) => unknown][] = [
    ['vault name', (f) => (f.vaultName = 'other-vault')],
    ['user', (f) => (f.userId = '99999999-3c4c-4a3f-8f0e-5b4d1f5a9c01')],
    ['protocol', (f) => (f.protocol = 'dkls19')],
    ['curve', (f) => (f.curve = 'secp256r1')],
    ['key_id', (f) => (f.keyId = '99999999-8a64-4f0a-9a34-0c2f6c6f7a02')],
    ['public key', (f) => (f.publicKey = f.parties[0]!.publicShare)],
    ['party', (f) => (f.party = 2)],
    ['threshold', (f) => (f.threshold = 3)],
    ['number of parties', (f) => f.parties.push(f.parties[1]!)],
    ['keygen_id', (f) => (f.parties[1]!.keygenId = Buffer.alloc(33, 1))],
    ['public share', (f) => (f.parties[1]!.publicShare = f.parties[0]!.publicShare)],
    ['order of parties', (f) => f.parties.reverse()],
    ['epoch', (f) => (f.epoch = 1)],
    ['chain-code hash', (f) => (f.chainCodeHash = Buffer.alloc(32, 9))],
    ['fingerprint', (f) => (f.fingerprint = fingerprintOf(version(0x22).bytes))],
    ['secret name', (f) => (f.secretName = 'another')],
    ['secret version', (f) => (f.secretVersion = 'another')],
    ['creation', (f) => f.createdAt++],
  ]

  it.each(transplants)('is refused under a header with another %s', async (_, change) => {
    const both = await sealWith(heldSource(secret, version(0x22)))
    const { parts } = takeApart(blob)
    const changed = fields()
    change(changed)
    const rest = blob.subarray(parts.find(({ name }) => name === 'salt')!.from)
    const text = base64(Buffer.concat([encodePrelude(1, changed), rest]))
    expect(await outcome(both.open(text, userId))).toMatch(/^backup_invalid: /)
  })

  const lies = transplants.filter(
    ([name]) =>
      !['key_id', 'fingerprint', 'secret name', 'secret version', 'creation'].includes(name),
  )
  it.each(lies)(
    'is refused when sealed anew by a holder of the secret with another %s',
    async (_, change) => {
      const changed = fields()
      change(changed)
      const lie = sealByHand(changed, record, secret.bytes)
      expect(await open(lie)).toMatch(/^backup_invalid: (?:layout|header_differs|user|commitment)$/)
    },
  )

  it('is refused when the header has another threshold than the share', async () => {
    const three = dealRecord(2, 3, 'three')
    const text = (await seal.seal(subject, three)).text
    const lie = takeApart(Buffer.from(text, 'base64')).fields
    expect(await open(sealByHand(lie, three, secret.bytes))).toBe('opened')
    lie.threshold = 3
    expect(await open(sealByHand(lie, three, secret.bytes))).toBe('backup_invalid: header_differs')
  })

  const impossible: [string, (f: Fields) => unknown][] = [
    ['party 0', (f) => (f.party = 0)],
    ['party n + 1', (f) => (f.party = 3)],
    ['threshold 1', (f) => (f.threshold = 1)],
    ['threshold n + 1', (f) => (f.threshold = 3)],
    ['33 parties', (f) => (f.parties = Array.from({ length: 33 }, () => f.parties[0]!))],
    ['no parties', (f) => (f.parties = [])],
    ['no vault name', (f) => (f.vaultName = '')],
    ['no user', (f) => (f.userId = '')],
    ['no key_id', (f) => (f.keyId = '')],
    ['a line break in a name', (f) => (f.secretName = 'a\nb')],
    ['a zero byte in the key_id', (f) => (f.keyId = 'a\0b')],
    ['an empty fingerprint', (f) => (f.fingerprint = Buffer.alloc(32))],
    ['a time beyond 2^53', (f) => (f.createdAt = 1n << 53n)],
  ]
  it.each(impossible)('is refused with an impossible header: %s', async (_, change) => {
    const changed = fields()
    change(changed)
    const made = sealByHand(changed, record, secret.bytes)
    expect(await open(made)).toBe('backup_invalid: layout')
  })

  it('is refused with a header that has bytes behind its last field', async () => {
    const prelude = encodePrelude(1, fields())
    const longer = Buffer.concat([prelude, Buffer.of(0)])
    longer.writeUInt32BE(longer.readUInt32BE(8) + 1, 8)
    const rest = blob.subarray(prelude.length)
    expect(await open(Buffer.concat([longer, rest]))).toBe('backup_invalid: layout')
  })

  it('is refused with a share that does not lie on its key, even when sealed with the secret', async () => {
    const wrong = record.slice()
    wrong[40]! ^= 1
    expect(await open(sealByHand(fields(), wrong, secret.bytes))).toBe('backup_invalid: share')
    const other = dealRecord(2, 2, 'another key')
    expect(await open(sealByHand(fields(), other, secret.bytes))).toBe(
      'backup_invalid: header_differs',
    )
    expect(await open(sealByHand(fields(), record.subarray(1), secret.bytes))).toBe(
      'backup_invalid: share',
    )
  })

  it('is refused for another user, and in a vault of another name with the same secret', async () => {
    const text = base64(blob)
    const other = '11111111-3c4c-4a3f-8f0e-5b4d1f5a9c01'
    expect(await outcome(seal.open(text, other))).toBe('backup_invalid: user')
    const elsewhere = await sealWith(heldSource(secret), 'staging')
    expect(await outcome(elsewhere.open(text, userId))).toBe('backup_invalid: commitment')
  })

  it('is refused without its commitment although its tag is right', async () => {
    const { parts } = takeApart(blob)
    const changed = Buffer.from(blob)
    changed.fill(0, ...place(parts, 'commitment'))
    expect(await open(changed)).toBe('backup_invalid: commitment')
  })

  it('cannot be one ciphertext for two secrets: the commitment tells which, and the other is refused', async () => {
    const second = version(0x22)
    const both = await sealWith(heldSource(secret, second))
    const salt = Buffer.alloc(32, 5)
    const prelude = encodePrelude(1, fields())
    const [k1, c1] = blobKeys(backupKey(secret.bytes, vaultName), salt, prelude)
    const [k2, c2] = blobKeys(backupKey(second.bytes, vaultName), salt, prelude)
    const { ciphertext, tag } = collidingCiphertext(k1, k2, prelude)
    for (const key of [k1, k2]) {
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: 16 })
      decipher.setAAD(prelude).setAuthTag(tag).update(ciphertext)
      decipher.final() // AES-GCM itself accepts it under both
    }
    const length = Buffer.of(0, 0, 0, ciphertext.length + 16)
    const made = (commitment: Buffer) =>
      outcome(
        both.open(
          base64(Buffer.concat([prelude, salt, commitment, length, ciphertext, tag])),
          userId,
        ),
      )
    expect(await made(c2)).toBe('backup_invalid: commitment')
    expect(await made(c1)).toBe('backup_invalid: share')
  })

  it('is refused with a short tag', async () => {
    const prelude = encodePrelude(1, fields())
    const salt = Buffer.alloc(32, 3)
    const [key, commitment] = blobKeys(backupKey(secret.bytes, vaultName), salt, prelude)
    for (const tagBytes of [4, 8, 12, 15]) {
      const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: 16 })
      cipher.setAAD(prelude)
      const body = Buffer.concat([cipher.update(record), cipher.final()])
      const tag = cipher.getAuthTag().subarray(0, tagBytes)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(body.length + tagBytes)
      const short = Buffer.concat([prelude, salt, commitment, length, body, tag])
      expect(await open(short)).toBe('backup_invalid: tag')
    }
  })

  it('tells everybody outside the same, whatever is wrong with it', async () => {
    const bad = [
      'not base64!',
      base64(Buffer.alloc(50)),
      base64(Buffer.concat([blob.subarray(0, -1), Buffer.of(blob.at(-1)! ^ 1)])),
      base64(sealByHand({ ...fields(), epoch: 7 }, record, secret.bytes)),
      base64(sealByHand({ ...fields(), fingerprint: Buffer.alloc(32, 3) }, record, secret.bytes)),
    ]
    const answers = await Promise.all(
      bad.map((text) =>
        seal.open(text, userId).catch((error: unknown) => {
          const { errType, message, details } = error as VaultError
          return JSON.stringify({ errType, message, details })
        }),
      ),
    )
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toContain('backup_invalid')
  })
})

describe('backup secrets', () => {
  it('are recognised by their bytes: a copy under other names in another vault opens the same blobs', async () => {
    const copied = await sealWith(heldSource(version(0x33), version(0x11, 'renamed', 'moved')))
    const opened = await copied.open(base64(blob), userId)
    expect(opened.record).toEqual(record)
    expect(opened.secret).toMatchObject({ name: 'backup', version: 'v17' })
  })

  it('rotate: new blobs use the newest, old blobs open with theirs', async () => {
    const rotated = await sealWith(heldSource(version(0x44), secret))
    expect(await outcome(rotated.open(base64(blob), userId))).toBe('opened')
    const fresh = (await rotated.seal(subject, record)).text
    expect((await rotated.open(fresh, userId)).secret?.version).toBe('v68')
    expect(await open(fresh)).toBe('backup_invalid: secret_unknown')
  })

  it('answer backup_key_unavailable for a version that was used here and is gone or disabled', async () => {
    const remembering = await loadSecrets(heldSource(version(0x44)))
    remembering.remember([fingerprintOf(secret.bytes).toString('hex')])
    const hint = { fingerprint: fingerprintOf(secret.bytes), name: 'x', version: 'y' }
    expect(await outcome(remembering.find(hint))).toBe('backup_key_unavailable')

    const source = heldSource(version(0x44))
    source.disabled.push({ name: 'backup', version: 'v17' })
    expect(await outcome((await sealWith(source)).open(base64(blob), userId))).toBe(
      'backup_key_unavailable',
    )
  })

  it('are looked for at most as often as allowed, whatever fingerprints a caller invents', async () => {
    const source = heldSource(secret)
    const now = { ms: 0 }
    const secrets = await loadSecrets(source, vaultName, now)
    const ask = (i: number) =>
      outcome(secrets.find({ fingerprint: new Uint8Array(32).fill(i), name: 'n', version: 'v' }))
    const answers = []
    for (let i = 0; i < 40; i++) answers.push(await ask(100 + i))
    expect(answers.slice(0, 16)).toEqual(Array(16).fill('backup_invalid: secret_unknown'))
    expect(answers.slice(16)).toEqual(Array(24).fill('backup_key_unavailable'))
    expect(source.loads).toBe(17)
    now.ms += 5_000
    expect(await ask(1)).toBe('backup_invalid: secret_unknown')
    expect(await ask(1)).toBe('backup_key_unavailable')
  })

  it('do not look again for a blob whose version is here and has another fingerprint', async () => {
    const source = heldSource(secret)
    const secrets = await loadSecrets(source)
    const hint = { fingerprint: new Uint8Array(32).fill(1), name: 'backup', version: 'v17' }
    expect(await outcome(secrets.find(hint))).toBe('backup_invalid: secret_unknown')
    expect(source.loads).toBe(1)
  })

  it('that were disabled are gone after the time to live, also where nobody waits for a look', async () => {
    const source = heldSource(version(0x44), secret)
    const now = { ms: 0 }
    const secrets = await loadSecrets(source, vaultName, now)
    source.enabled.pop()
    expect(secrets.all()).toHaveLength(2)
    now.ms += 300_001
    secrets.all()
    await secrets.newest()
    expect(secrets.all().map(({ version }) => version)).toEqual(['v68'])
    expect(source.loads).toBe(2)
  })

  it('that cannot be read again are used for an hour and then not, and recover by themselves', async () => {
    const source = heldSource(secret)
    const now = { ms: 0 }
    const secrets = await loadSecrets(source, vaultName, now)
    source.trouble = new SecretsUnavailable('http_503', 503, 30)
    now.ms += 3_600_000
    expect((await secrets.newest()).version).toBe('v17')
    now.ms += 1
    const error: unknown = await secrets.newest().catch((e: unknown) => e)
    expect(error).toMatchObject({ errType: 'backup_key_unavailable', details: { retry_after: 30 } })
    source.trouble = undefined
    expect((await secrets.newest()).version).toBe('v17')
  })

  it('with the bytes of the storage key are not used when they appear later', async () => {
    const source = heldSource(secret)
    const now = { ms: 0 }
    const secrets = await BackupSecrets.load(source, {
      vaultName,
      clock: { now: () => now.ms },
      log: () => undefined,
      storageFingerprint: fingerprintOf(version(0x77).bytes),
    })
    source.enabled.unshift(version(0x77))
    now.ms += 400_000
    expect((await secrets.newest()).version).toBe('v17')
    expect(secrets.all()).toHaveLength(1)
  })

  it('are kept by the recorder before their first use as the newest, and again when they are gone back to', async () => {
    const source = heldSource(secret)
    const now = { ms: 0 }
    const secrets = await loadSecrets(source, vaultName, now)
    const recorded: string[] = []
    secrets.recordWith((one) => Promise.resolve(void recorded.push(one.version)))
    await secrets.newest()
    source.enabled.unshift(version(0x55))
    now.ms += 400_000
    expect((await secrets.newest()).version).toBe('v85')
    await secrets.newest()
    expect(recorded).toEqual(['v17', 'v85'])
    source.enabled.shift()
    now.ms += 400_000
    expect((await secrets.newest()).version).toBe('v17')
    expect(recorded).toEqual(['v17', 'v85', 'v17'])
    secrets.recordWith(() => Promise.reject(new Error('database down')))
    source.enabled.unshift(version(0x66))
    now.ms += 400_000
    await expect(secrets.newest()).rejects.toThrow('database down')
  })
})

describe('a plaintext backup', () => {
  it('opens to its record and says what it is', async () => {
    const text = (await plaintext.seal(subject, record)).text
    const opened = await plaintext.open(text, userId)
    expect(opened.record).toEqual(record)
    expect(opened.secret).toBeUndefined()
    expect(new Uint8Array(openByHand(text, new Uint8Array(32), vaultName).record)).toEqual(record)
  })

  it('is refused with any byte changed, cut or added', async () => {
    const bytes = Buffer.from((await plaintext.seal(subject, record)).text, 'base64')
    const { parts } = takeApart(bytes)
    for (const { name, from, to } of parts) {
      if (from === to) continue
      for (const at of new Set([from, (from + to - 1) >> 1, to - 1])) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= 0x01
        const result = await outcome(plaintext.open(base64(changed), userId))
        expect(result, name).toMatch(/^backup_invalid/)
      }
      const cut = base64(bytes.subarray(0, from))
      expect(await outcome(plaintext.open(cut, userId)), name).toMatch(/^backup_invalid/)
    }
    const more = base64(Buffer.concat([bytes, Buffer.of(0)]))
    expect(await outcome(plaintext.open(more, userId))).toMatch(/^backup_invalid/)
  })

  it('passes the same checks of share, header, vault and user as an encrypted one', async () => {
    const made = takeApart(
      Buffer.from((await plaintext.seal(subject, record)).text, 'base64'),
    ).fields
    const by = (change: (f: Fields) => unknown, share = record) => {
      const changed = structuredCloneOf(made)
      change(changed)
      return outcome(plaintext.open(base64(plaintextByHand(changed, share)), userId))
    }
    expect(await by(() => undefined)).toBe('opened')
    expect(await by((f) => (f.epoch = 4))).toBe('backup_invalid: header_differs')
    expect(await by((f) => (f.userId = 'somebody'))).toBe('backup_invalid: user')
    expect(await by((f) => (f.vaultName = 'elsewhere'))).toBe('backup_invalid: vault_name')
    expect(await by((f) => (f.fingerprint = Buffer.alloc(32, 1)))).toBe('backup_invalid: layout')
    expect(await by(() => undefined, dealRecord(2, 2, 'other'))).toBe(
      'backup_invalid: header_differs',
    )
  })

  it('and an encrypted one are each refused by a server of the other mode', async () => {
    const text = (await plaintext.seal(subject, record)).text
    expect(await open(text)).toBe('export_mode_refused')
    expect(await outcome(plaintext.open(base64(blob), userId))).toBe('export_mode_refused')
  })
})

function place(parts: readonly { name: string; from: number; to: number }[], name: string) {
  const { from, to } = parts.find((part) => part.name === name)!
  return [from, to] as const
}

function structuredCloneOf(fields: Fields): Fields {
  return { ...fields, parties: fields.parties.map((party) => ({ ...party })) }
}
