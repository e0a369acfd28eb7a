import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import {
  checkAccount,
  checkKeyPackage,
  encodeAccount,
  encodeKeyPackage,
  openAccount,
  openKeyPackage,
  SubmissionRefused,
  type Submission,
} from '../../src/keypackage/index.js'
import { bytesOf, make, T, torsion } from './by-hand.js'

const seed = new Uint8Array(32).fill(7)
const deviceId = Buffer.from(ed25519.getPublicKey(seed)).toString('hex')
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

function submission(payload: Uint8Array, change: Partial<Submission> = {}): Submission {
  const signature = base64(ed25519.sign(payload, seed))
  return { id: deviceId, payload: base64(payload), signature, ...change }
}

function told(submitted: Submission): string | undefined {
  try {
    checkKeyPackage(submitted)
    return undefined
  } catch (error) {
    if (!(error instanceof SubmissionRefused)) throw error
    return error.message
  }
}

const good = submission(Uint8Array.of(1, 2, 3))

describe('a key package that is submitted', () => {
  it('is taken with the bytes that were signed', () => {
    expect(checkKeyPackage(good).payload).toEqual(Uint8Array.of(1, 2, 3))
    expect(checkKeyPackage(good).signature).toHaveLength(64)
  })

  it('may be empty', () => {
    expect(told(submission(new Uint8Array(0)))).toBeUndefined()
  })

  it('keeps its name as it was written', () => {
    const id = deviceId.toUpperCase()
    expect(id).not.toBe(deviceId)
    expect(checkKeyPackage({ ...good, id }).id).toBe(id)
  })

  const notHex = 'device_id: must be hex of a 32-byte key'
  const notBase64 = 'payload: not valid base64'
  const not64 = 'signature: must be base64 of 64 bytes'
  const wrong = 'signature: verification failed'
  const noPoint = Buffer.from(bytesOf(2n)).toString('hex')
  it.each<[string, Partial<Submission>, string]>([
    ['an empty id', { id: '' }, notHex],
    ['an id of 31 bytes', { id: deviceId.slice(2) }, notHex],
    ['an id of 33 bytes', { id: `${deviceId}00` }, notHex],
    ['half a byte in its id', { id: deviceId.slice(1) }, notHex],
    ['0x before its id', { id: `0x${deviceId.slice(2)}` }, notHex],
    ['a line break after its id', { id: `${deviceId}\n` }, notHex],
    ['an id that is not hex', { id: 'z'.repeat(64) }, notHex],
    ['a payload without padding', { payload: 'AQI' }, notBase64],
    ['a payload with a line break', { payload: 'AQID\n' }, notBase64],
    ['a payload in the alphabet of URLs', { payload: '-_-_' }, notBase64],
    ['a payload with loose bits', { payload: 'AR==' }, notBase64],
    ['a signature of 63 bytes', { signature: base64(new Uint8Array(63)) }, not64],
    ['a signature of 65 bytes', { signature: base64(new Uint8Array(65)) }, not64],
    ['a signature that is no base64', { signature: '!' }, not64],
    ['no signature', { signature: '' }, not64],
    ['an id that is no point', { id: noPoint }, 'device_id: not a valid ed25519 key'],
    ['the signature of something else', { payload: 'AQIE' }, wrong],
    ['nobody’s signature', { signature: base64(new Uint8Array(64)) }, wrong],
    // What is wrong first is what is told.
    ['everything wrong', { id: '', payload: '!', signature: '!' }, notHex],
    ['all but its id wrong', { payload: '!', signature: '!' }, notBase64],
    ['no point and no signature', { id: noPoint, signature: '!' }, not64],
  ])('is refused with %s', (_, change, message) => {
    expect(told({ ...good, ...change })).toBe(message)
  })

  it('is refused under a weak key and with a weak R, whoever else would take it', () => {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    for (const point of torsion) {
      const { key, signature } = make(new Uint8Array(0), { toR: point, a: 0n, r: 0n, toKey: point })
      expect(told({ id: hex(key), payload: '', signature: base64(signature) })).toBe(wrong)
    }
    const made = make(Uint8Array.of(1), { toR: T })
    const submitted = { id: hex(made.key), payload: 'AQ==', signature: base64(made.signature) }
    expect(told(submitted)).toBe(wrong)
  })
})

describe('an account that is submitted', () => {
  const payload = encodeAccount({ lamport: 5n, devices: [seed] })

  it('is taken with its lamport', () => {
    expect(checkAccount(submission(payload), 'account_pub').lamport).toBe(5n)
    expect(checkAccount(submission(payload.subarray(0, 39)), 'account_pub').lamport).toBe(5n)
  })

  it('is refused without one', () => {
    for (const short of [new Uint8Array(0), payload.subarray(0, 38), new Uint8Array(100)])
      expect(() => checkAccount(submission(short), 'account_pub')).toThrow(
        /^payload: too short to contain a lamport header$/,
      )
  })

  it('is refused in the words that its sender used for it', () => {
    for (const field of ['account_pub', 'account_id'] as const) {
      expect(() => checkAccount({ ...good, id: 'x' }, field)).toThrow(
        new SubmissionRefused(`${field}: must be hex of a 32-byte key`),
      )
      const id = Buffer.from(bytesOf(2n)).toString('hex')
      expect(() => checkAccount({ ...good, id }, field)).toThrow(
        new SubmissionRefused(`${field}: not a valid ed25519 key`),
      )
    }
  })
})

describe('what a registry answers', () => {
  const payload = encodeKeyPackage({ timestampMs: 1n, keyPackage: Uint8Array.of(4, 5) })

  it('is read when the device signed it', () => {
    expect(openKeyPackage(deviceId, submission(payload))?.keyPackage).toEqual(Uint8Array.of(4, 5))
    const account = encodeAccount({ lamport: 2n, devices: [seed] })
    expect(openAccount(deviceId, submission(account))).toEqual({ lamport: 2n, devices: [seed] })
  })

  it('counts as nothing when it was changed, is of somebody else, or is something else', () => {
    const { signature } = submission(payload)
    const other = Buffer.from(ed25519.getPublicKey(new Uint8Array(32).fill(8))).toString('hex')
    expect(openKeyPackage(other, submission(payload))).toBeUndefined()
    expect(openKeyPackage('no key', submission(payload))).toBeUndefined()
    const changed = payload.slice()
    changed[0]! ^= 1
    expect(openKeyPackage(deviceId, { payload: base64(changed), signature })).toBeUndefined()
    expect(openKeyPackage(deviceId, { payload: '!', signature })).toBeUndefined()
    expect(openKeyPackage(deviceId, { payload: base64(payload), signature: '' })).toBeUndefined()
    expect(openKeyPackage(deviceId, submission(new Uint8Array(7)))).toBeUndefined()
    expect(openAccount(deviceId, submission(payload))).toBeUndefined()
  })
})
