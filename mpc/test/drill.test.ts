import { secp256k1 } from '@noble/curves/secp256k1.js'
import { randomBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import {
  drillCanary,
  signDrillReport,
  vaultIdentityPublicKey,
  verifyDrillReport,
  type DrillReport,
} from '@vertex/mpc'

const key = secp256k1.keygen()
const unsigned = {
  vaultName: 'vertex',
  userId: '1f0d3c58-8a52-4e3b-8f43-5c2f9f1f7d11',
  publicKey: key.publicKey,
  epoch: 3,
  blobDigest: randomBytes(32),
  nonce: randomBytes(32),
  generation: '00'.repeat(16),
  keyId: '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02',
  party: 2,
  secretFingerprint: randomBytes(32),
  drilledAt: 1_763_700_000_001,
}
const signedBy = (secretKey: Uint8Array): DrillReport => ({
  ...unsigned,
  signature: secp256k1.sign(drillCanary(unsigned), secretKey, { prehash: false }),
})
const report = signedBy(key.secretKey)
const ofSubject = ['publicKey', 'epoch', 'blobDigest', 'nonce'] as const
const all = Object.keys(report) as (keyof DrillReport)[]

/** Another value of the same form. */
function other(value: string | number | Uint8Array): string | number | Uint8Array {
  if (typeof value === 'string') return `${value}x`
  if (typeof value === 'number') return value + 1
  const bytes = value.slice()
  bytes[bytes.length - 1]! ^= 1
  return bytes
}

const changed = (name: keyof DrillReport, value = other(report[name])): DrillReport => ({
  ...report,
  [name]: value,
})

describe('the canary of a drill', () => {
  it('is 32 bytes, the same for both parties', () => {
    expect(drillCanary(report)).toHaveLength(32)
    expect(drillCanary({ ...report })).toEqual(drillCanary(report))
  })

  it.each(ofSubject)('depends on %s', (name) => {
    expect(drillCanary(changed(name))).not.toEqual(drillCanary(report))
  })

  it.each(['publicKey', 'blobDigest', 'nonce'] as const)(
    'refuses a %s of another length',
    (name) => {
      for (const length of [0, report[name].length - 1, report[name].length + 1])
        expect(() => drillCanary(changed(name, new Uint8Array(length)))).toThrow(RangeError)
    },
  )
})

describe('the report of a drill', () => {
  const seed = randomBytes(32)
  const identity = vaultIdentityPublicKey(seed)
  const signature = signDrillReport(seed, report)

  it('verifies under the identity that signed it, and no other', () => {
    expect(verifyDrillReport(identity, report, signature)).toBe(true)
    expect(verifyDrillReport(vaultIdentityPublicKey(randomBytes(32)), report, signature)).toBe(
      false,
    )
    expect(verifyDrillReport(identity, report, signature.slice(1))).toBe(false)
  })

  it.each(all)('does not verify with another %s', (name) => {
    expect(verifyDrillReport(identity, changed(name), signature)).toBe(false)
  })

  it('does not verify when another key has signed, or another canary: the identity alone reports nothing', () => {
    const canary = drillCanary(changed('nonce'))
    for (const forged of [
      signedBy(secp256k1.keygen().secretKey),
      changed('signature', secp256k1.sign(canary, key.secretKey, { prehash: false })),
      changed('signature', new Uint8Array(64)),
      changed('publicKey', new Uint8Array(33)),
    ])
      expect(verifyDrillReport(identity, forged, signDrillReport(seed, forged))).toBe(false)
  })

  it('cannot move a byte from one part into the next', () => {
    const moved = { ...report, vaultName: 'verte', userId: `x${report.userId}` }
    expect(verifyDrillReport(identity, moved, signature)).toBe(false)
  })

  it('does not verify, and does not throw, with a part of another length', () => {
    for (const name of ['nonce', 'signature', 'secretFingerprint'] as const)
      expect(verifyDrillReport(identity, changed(name, new Uint8Array(1)), signature)).toBe(false)
  })
})
