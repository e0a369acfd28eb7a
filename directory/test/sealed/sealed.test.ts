import { readFileSync } from 'node:fs'
import { x25519 } from '@noble/curves/ed25519.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  openSealedBackup,
  readSealedBackup,
  sealBackup,
  SealedBackupRefused,
} from '@vertex/directory/sealed'
import { openByHand } from './by-hand.js'

/** Backups as the service made them, which every version must open. */
const fixture = (name: string) =>
  JSON.parse(
    readFileSync(new URL(`../../../test/fixtures/backups/${name}.json`, import.meta.url), 'utf8'),
  ) as {
    key_share: string
    key_id: string
    user_id: string
    vault_name: string
    public_key: string
  }

const secret = new Uint8Array(32).fill(7)
const other = new Uint8Array(32).fill(8)
const recipientKey = x25519.getPublicKey(secret)
const recipient = `ed25519:${'ab'.repeat(32)}`
const exportedAt = 1_763_760_000_000
const to = { recipient, recipientKey, exportedAt }

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'opened',
    (error: unknown) => (error instanceof SealedBackupRefused ? error.reason : error),
  )

describe.each(['v1-encrypted-2of2-party1', 'v1-encrypted-3of5-epoch7', 'v1-plaintext-2of3'])(
  '%s, sealed',
  (name) => {
    const made = fixture(name)
    const backup = made.key_share
    let text: string
    let blob: Uint8Array
    beforeAll(async () => {
      text = await sealBackup(backup, to)
      blob = bytesOf(text)
    })

    it('opens with the recipient’s key, and is what it was', async () => {
      expect(await openSealedBackup(text, secret)).toBe(backup)
    })

    it('opens by hand, from the page alone', () => {
      expect(base64(openByHand(blob, secret))).toBe(backup)
    })

    it('tells everybody whom it is for and what it is, and nothing else', () => {
      const { subject, ...rest } = readSealedBackup(text)
      expect(rest).toEqual(to)
      expect(subject).toMatchObject({
        vaultName: made.vault_name,
        userId: made.user_id,
        keyId: made.key_id,
      })
      expect(bytesToHex(subject.publicKey)).toBe(made.public_key)
      expect(subject.keygenIds.length).toBeGreaterThanOrEqual(subject.threshold)
      // What follows the header of the backup stands nowhere in the clear.
      const tail = bytesToHex(bytesOf(backup).slice(-32))
      expect(bytesToHex(blob)).not.toContain(tail)
    })

    it('is another one each time', async () => {
      expect(await sealBackup(backup, to)).not.toBe(text)
    })

    it('does not open with another key, and says so before trying', async () => {
      expect(await refusal(openSealedBackup(text, other))).toBe('other_recipient')
    })

    it('does not open for another key that is written into it', async () => {
      const at = 8 + 1 + recipient.length
      const forged = blob.slice()
      forged.set(x25519.getPublicKey(other), at)
      expect(await refusal(openSealedBackup(base64(forged), other))).toBe('not_authentic')
    })

    it('does not open when one bit of it is another', async () => {
      const places = [
        ...Array.from({ length: 16 }, (_, i) => Math.floor((i * (blob.length - 1)) / 15)),
        7,
        8 + 1,
        8 + 1 + recipient.length + 32 + 7,
      ]
      for (const at of places) {
        const changed = blob.slice()
        changed[at]! ^= 1
        expect(await refusal(openSealedBackup(base64(changed), secret)), `byte ${at}`).not.toBe(
          'opened',
        )
      }
    })

    it('does not open under the time, the recipient or the header of another', async () => {
      const others = [
        await sealBackup(backup, { ...to, exportedAt: exportedAt + 1 }),
        await sealBackup(backup, { ...to, recipient: `ed25519:${'cd'.repeat(32)}` }),
      ].map(bytesOf)
      for (const foreign of others) {
        const cut = associatedEnd(blob)
        const mixed = new Uint8Array([...foreign.slice(0, cut), ...blob.slice(cut)])
        expect(await refusal(openSealedBackup(base64(mixed), secret))).toBe('not_authentic')
      }
    })

    it('does not open with nothing agreed on', async () => {
      const forged = blob.slice()
      forged.fill(0, associatedEnd(blob), associatedEnd(blob) + 32)
      expect(await refusal(openSealedBackup(base64(forged), secret))).toBe('not_authentic')
    })

    it('has one text and one layout', async () => {
      const longer = base64(new Uint8Array([...blob, 0]))
      const shorter = base64(blob.slice(0, -1))
      for (const bad of [`${text}\n`, ` ${text}`, text.slice(0, -1), longer, shorter, '', backup])
        expect(await refusal(openSealedBackup(bad, secret))).toBe('malformed')
    })
  },
)

it('opens what was sealed long ago', async () => {
  const frozen = JSON.parse(
    readFileSync(new URL('./frozen-v1.json', import.meta.url), 'utf8'),
  ) as Record<'secret' | 'sealed' | 'backup', string>
  const opened = await openSealedBackup(frozen.sealed, Buffer.from(frozen.secret, 'hex'))
  expect(opened).toBe(frozen.backup)
  expect(opened).toBe(fixture('v1-encrypted-2of3-party3').key_share)
})

describe('the platform’s cryptography', () => {
  const backup = fixture('v1-plaintext-2of3').key_share
  const failure = new Error('out of memory')
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it.each(['importKey', 'generateKey', 'deriveBits', 'sign', 'encrypt'] as const)(
    'that fails in %s says nothing against the recipient’s key',
    async (name) => {
      const spy = vi.spyOn(crypto.subtle, name).mockRejectedValue(failure)
      const error = await sealBackup(backup, to).catch((e: unknown) => e)
      expect(spy).toHaveBeenCalled()
      expect(error).toBeInstanceOf(Error)
      expect(error).not.toBeInstanceOf(SealedBackupRefused)
    },
  )

  it('that cannot take a private key says nothing against the blob', async () => {
    const text = await sealBackup(backup, to)
    vi.spyOn(crypto.subtle, 'importKey').mockRejectedValue(failure)
    const error = await openSealedBackup(text, secret).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(SealedBackupRefused)
  })

  it.each(['seals', 'fails'])(
    'that %s is left with none of the bytes it was given',
    async (how) => {
      let given: Uint8Array | undefined
      let before: string | undefined
      const encrypt = crypto.subtle.encrypt.bind(crypto.subtle)
      vi.spyOn(crypto.subtle, 'encrypt').mockImplementation(async (algorithm, key, data) => {
        given = new Uint8Array(data as ArrayBuffer)
        before = bytesToHex(given)
        if (how === 'fails') throw failure
        return encrypt(algorithm, key, data)
      })
      await sealBackup(backup, to).catch(() => undefined)
      expect(bytesToHex(bytesOf(backup))).toContain(before)
      expect(given).toEqual(new Uint8Array(given!.length))
    },
  )

  it('that opened is left with none of its bytes', async () => {
    const text = await sealBackup(backup, to)
    let left: ArrayBuffer | undefined
    const decrypt = crypto.subtle.decrypt.bind(crypto.subtle)
    vi.spyOn(crypto.subtle, 'decrypt').mockImplementation(async (algorithm, key, data) => {
      left = await decrypt(algorithm, key, data)
      return left
    })
    expect(await openSealedBackup(text, secret)).toBe(backup)
    expect(new Uint8Array(left!)).toEqual(new Uint8Array(left!.byteLength))
  })
})

describe('what is not sealed', () => {
  const backup = fixture('v1-encrypted-2of2-party1').key_share

  it('is what is no backup', async () => {
    for (const bad of ['', 'AAAA', base64(new Uint8Array(100)), `${backup}=`])
      expect(await refusal(sealBackup(bad, to))).toBe('malformed')
  })

  it('is anything for a key of small order', async () => {
    for (const key of [new Uint8Array(32), new Uint8Array(32).fill(1, 0, 1)])
      expect(await refusal(sealBackup(backup, { ...to, recipientKey: key }))).toBe('bad_key')
  })
})

const associatedEnd = (blob: Uint8Array) => {
  const start = 8 + 1 + blob[8]! + 32 + 8
  return start + 4 + new DataView(blob.buffer).getUint32(start)
}
