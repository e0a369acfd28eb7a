import { ed25519 } from '@noble/curves/ed25519.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ciphersuites,
  decodeMlsMessage,
  defaultCapabilities,
  defaultLifetime,
  encodeMlsMessage,
  generateKeyPackage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  type CiphersuiteName,
} from 'ts-mls'
import { verifyKeyPackage } from 'ts-mls/keyPackage.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeKeyPackage, openKeyPackage, type Fetched } from '@vertex/directory/keypackage'
import { signer, startRegistry, type Registry } from './registry.js'

const folder = mkdtempSync(join(tmpdir(), 'vertex-mls-'))
let registry: Registry
beforeAll(async () => {
  registry = await startRegistry({ kind: 'sqlite', dataDir: folder })
})
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true })
})

const credential = {
  credentialType: 'basic',
  identity: new TextEncoder().encode('alice'),
} as const

async function suite(name: CiphersuiteName) {
  return getCiphersuiteImpl(getCiphersuiteFromName(name))
}

/** Publishes a device's package and fetches it as somebody else would. */
async function roundTrip(device: ReturnType<typeof signer>, keyPackage: Uint8Array) {
  const payload = encodeKeyPackage({ timestampMs: BigInt(Date.now()), keyPackage })
  expect((await registry.post('/v0/keypackage', device.bundle(payload))).status).toBe(204)
  const { text } = await registry.get(`/v0/keypackage/${device.id}`)
  return openKeyPackage(device.id, JSON.parse(text) as Fetched)
}

// Those of ts-mls that need nothing but what Node has; MLS's own number of each.
const names = [
  'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519',
  'MLS_128_DHKEMP256_AES128GCM_SHA256_P256',
  'MLS_256_DHKEMP384_AES256GCM_SHA384_P384',
  'MLS_256_DHKEMP521_AES256GCM_SHA512_P521',
] as const

describe('an MLS key package', () => {
  it.each(names.map((name) => [name, ciphersuites[name]] as const))(
    'of %s (%i) comes back as it was made, and is signed',
    async (name, number) => {
      const impl = await suite(name)
      const made = await generateKeyPackage(
        credential,
        defaultCapabilities(),
        defaultLifetime,
        [],
        impl,
      )
      const message = encodeMlsMessage({
        version: 'mls10',
        wireformat: 'mls_key_package',
        keyPackage: made.publicPackage,
      })
      const got = await roundTrip(signer(number + 10), message)
      expect(got!.keyPackage).toEqual(message)
      const [read] = decodeMlsMessage(got!.keyPackage, 0)!
      if (read.wireformat !== 'mls_key_package') throw new Error('another message')
      expect(read.keyPackage.cipherSuite).toBe(name)
      expect(await verifyKeyPackage(read.keyPackage, impl.signature)).toBe(true)
    },
  )

  it('that the device signed with its own key is bound to the device that was asked for', async () => {
    const impl = await suite(names[0])
    const device = signer(3)
    // The key's PKCS #8 form, RFC 8410.
    const pkcs8 = Buffer.concat([
      Buffer.from('302e020100300506032b657004220420', 'hex'),
      device.seed,
    ])
    const signatureKeyPair = {
      signKey: new Uint8Array(pkcs8),
      publicKey: ed25519.getPublicKey(device.seed),
    }
    const made = await generateKeyPackageWithKey(
      credential,
      defaultCapabilities(),
      defaultLifetime,
      [],
      signatureKeyPair,
      impl,
    )
    const message = encodeMlsMessage({
      version: 'mls10',
      wireformat: 'mls_key_package',
      keyPackage: made.publicPackage,
    })
    const got = await roundTrip(device, message)
    const [read] = decodeMlsMessage(got!.keyPackage, 0)!
    if (read.wireformat !== 'mls_key_package') throw new Error('another message')
    expect(await verifyKeyPackage(read.keyPackage, impl.signature)).toBe(true)
    const leafKey = Buffer.from(read.keyPackage.leafNode.signaturePublicKey).toString('hex')
    expect(leafKey).toBe(device.id)
    // What another device publishes as its own is not: whoever reads must look.
    const thief = signer(4)
    const stolen = await roundTrip(thief, message)
    const [again] = decodeMlsMessage(stolen!.keyPackage, 0)!
    if (again.wireformat !== 'mls_key_package') throw new Error('another message')
    expect(Buffer.from(again.keyPackage.leafNode.signaturePublicKey).toString('hex')).not.toBe(
      thief.id,
    )
  })
})
