import { MemoryShareStore, type EcdsaKey, type Vertex } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeRecord, encodeRecord } from '../../sdk/src/record.js'
import { freePort, wipeData, type TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const message = utf8('two of three')
const store = new MemoryShareStore()
let near: TestServer
let far: TestServer
let vertex: Vertex
let key: EcdsaKey
let access: { url: string; apiKey: string }

const farSettings = () => ({ settings: { VERTEX_RELAY_ALLOW: `127.0.0.1:${near.port}` } })
const verifies = async (vertices?: string[]) => {
  const { der } = await key.sign({
    message,
    hashAlgo: 'sha256',
    ...(vertices === undefined ? {} : { vertices }),
  })
  return opensslVerifies(key.publicKey, message, der)
}

beforeAll(async () => {
  near = await harness.server('near')
  far = await harness.server('far', { port: await freePort(), ...farSettings() })
  vertex = await harness.client(near, { store })
  access = { url: far.url, apiKey: await far.createUser('the same app') }
  key = await vertex.ecdsa.createKey({ parties: 3, threshold: 2, vertices: [access] })
})
afterAll(() => harness.end())

describe('a 2-of-3 key of a client and two Vertices, through one relay', () => {
  it('is backed up at both', async () => {
    expect(key.vertices.map(({ url }) => url)).toEqual([near.url, far.url])
    await key.verifyBackup()
    await key.verifyBackup({ vertex: far.url })
    expect([key.threshold, key.parties]).toEqual([2, 3])
  })

  it('signs with either of them, and with both', async () => {
    expect(await verifies()).toBe(true)
    expect(await verifies([far.url])).toBe(true)
    expect(await verifies([near.url, far.url])).toBe(true)
  })

  it('recovers the share of the one that lost it', async () => {
    const recovered: string[] = []
    vertex.on('recovered', ({ url }) => recovered.push(url))
    await far.kill()
    wipeData(far.folder)
    far = await harness.server('far', { port: far.port, ...farSettings() })
    expect(await verifies([near.url, far.url])).toBe(true)
    expect(recovered).toEqual([far.url])
  })

  it('is given a backup by hand through a client of either, which takes its own place alone', async () => {
    const [near0, far0] = [await key.exportBackup(), await key.exportBackup({ vertex: far.url })]
    const farOnly = await harness.client(far, { ...access, store })
    const atFar = await farOnly.ecdsa.importBackup(far0)
    expect(atFar.key!.vertices).toEqual([key.vertices[0], { url: far.url, keyId: atFar.keyId }])
    // The key that came with it, and one that is opened there, work with their client's own Vertex.
    for (const one of [atFar.key!, await farOnly.ecdsa.openKey(key.id)]) {
      expect(one.keyId).toBe(atFar.keyId)
      await one.verifyBackup()
      const { der } = await one.sign({ message, hashAlgo: 'sha256' })
      expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    }
    const atNear = await vertex.ecdsa.importBackup(near0, { vertices: [access] })
    expect(atNear.key!.vertices).toEqual([
      { url: near.url, keyId: atNear.keyId },
      { url: far.url, keyId: atFar.keyId },
    ])
    const both = [near.url, far.url]
    await atNear.key!.sign({ message, hashAlgo: 'sha256', vertices: both })
  })

  it('signs with the Vertices within reach when it is opened without the other', async () => {
    const opened = await vertex.ecdsa.openKey(key.id)
    const { der } = await opened.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    await expect(
      opened.sign({ message, hashAlgo: 'sha256', vertices: [far.url] }),
    ).rejects.toMatchObject({ errType: 'bad_argument' })
    const complete = await vertex.ecdsa.openKey(key.id, { vertices: [access] })
    const signature = await complete.sign({ message, hashAlgo: 'sha256', vertices: [far.url] })
    expect(opensslVerifies(key.publicKey, message, signature.der)).toBe(true)
  })
})

describe('a second Vertex with backups in the clear', () => {
  it('is repaired by hand, and nothing is imported that does not fit the key', async () => {
    const plain = {
      settings: {
        ...farSettings().settings,
        VERTEX_BACKUP_MODE: 'plaintext',
        VERTEX_ALLOW_RAW_EXPORT: 'yes-i-understand',
      },
    }
    let second = await harness.server('plain', plain)
    const admission = await second.makeUser({ name: 'by hand' })
    const there = { url: second.url, apiKey: admission.apiKey }
    const made = await vertex.ecdsa.createKey({ parties: 3, vertices: [there] })
    const backup = await made.exportBackup({ vertex: second.url })
    expect(backup.export_type).toBe('plaintext')

    await second.kill()
    wipeData(second.folder)
    second = await harness.server('plain', { port: second.port, ...plain })
    const vertices = [second.url]
    await expect(made.sign({ message, hashAlgo: 'sha256', vertices })).rejects.toMatchObject({
      errType: 'key_id_not_exists',
      refusal: 'plaintext',
    })

    const client = await harness.client(second, { ...there, store })
    // A record of a later epoch: refused before anything is imported.
    const later = new MemoryShareStore()
    const record = decodeRecord((await store.get('key', made.id))!.value)
    await later.put('key', made.id, encodeRecord({ ...record, epoch: 1 }), 0)
    const withLater = await harness.client(second, { ...there, store: later })
    await expect(withLater.ecdsa.importBackup(backup)).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
    expect((await client.rest.listKeys()).keys).toEqual([])

    const imported = await client.ecdsa.importBackup(backup)
    expect(imported.key?.id).toBe(made.id)
    expect((await client.rest.listKeys()).keys).toHaveLength(1)
    const { der } = await made.sign({ message, hashAlgo: 'sha256', vertices })
    expect(opensslVerifies(made.publicKey, message, der)).toBe(true)
    expect(made.vertices[1]).toEqual({ url: second.url, keyId: imported.keyId })
  })
})
