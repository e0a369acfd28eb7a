import { MemoryShareStore, type Backup, type EcdsaKey, type Vertex } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeRecord, encodeRecord } from '../../sdk/src/record.js'
import { wipeData, type TestServer } from '../support/server.js'
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
  far = await harness.server('far', farSettings())
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

  it('signs batches with either of them, and with both', async () => {
    // As many as there may be: with two Vertices that is more than the relay holds of one room for who does not read.
    const texts = Array.from({ length: 32 }, (_, i) => utf8(`message ${i}`))
    for (const vertices of [[far.url], [near.url, far.url]]) {
      const signatures = await key.signBatch(
        texts.map((text) => ({ message: text, hashAlgo: 'sha256' })),
        { vertices },
      )
      for (const [i, { der }] of signatures.entries())
        expect(opensslVerifies(key.publicKey, texts[i]!, der)).toBe(true)
    }
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

describe('a Vertex with backups in the clear', () => {
  const tries = (one: EcdsaKey, vertices: string[]) =>
    one.sign({ message, hashAlgo: 'sha256', vertices })
  const signs = async (one: EcdsaKey, vertices: string[]) => {
    const { der } = await tries(one, vertices)
    expect(opensslVerifies(one.publicKey, message, der)).toBe(true)
  }

  it('recovers nothing by itself, and everything by hand, whichever Vertex of a key it is', async () => {
    const plain = {
      settings: {
        ...farSettings().settings,
        VERTEX_BACKUP_MODE: 'plaintext',
        VERTEX_ALLOW_RAW_EXPORT: 'yes-i-understand',
      },
    }
    let server = await harness.server('plain', plain)
    const there = { url: server.url, apiKey: await server.createUser('by hand') }
    const client = await harness.client(server, { ...there, store })
    const first = await client.ecdsa.createKey()
    const second = await vertex.ecdsa.createKey({ parties: 3, vertices: [there] })
    const backups: Backup[] = []
    for (const one of [first, second]) {
      await signs(one, [server.url])
      const backup = await one.exportBackup({ vertex: server.url })
      expect(backup.export_type).toBe('plaintext')
      expect(await one.verifyBackup({ vertex: server.url, backup })).toMatchObject({
        secretVersion: null,
        epoch: 0,
      })
      // It is not kept beside this party's share: the two together are the key.
      await expect(one.verifyBackup({ vertex: server.url })).rejects.toMatchObject({
        errType: 'backup_missing',
      })
      const record = await store.get('key', one.id)
      expect(Buffer.from(record!.value).includes(backup.key_share)).toBe(false)
      backups.push(backup)
    }

    await server.kill()
    wipeData(server.folder)
    server = await harness.server('plain', { port: server.port, ...plain })
    for (const one of [first, second])
      await expect(tries(one, [server.url])).rejects.toMatchObject({
        errType: 'key_id_not_exists',
        refusal: 'plaintext',
      })

    // The key of this store is of a later epoch: refused before anything is imported.
    const later = new MemoryShareStore()
    const record = decodeRecord((await store.get('key', second.id))!.value)
    await later.put('key', second.id, encodeRecord({ ...record, epoch: 1 }), 0)
    const withLater = await harness.client(server, { ...there, store: later })
    await expect(withLater.ecdsa.importBackup(backups[1]!)).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
    expect((await client.rest.listKeys()).keys).toEqual([])

    for (const [i, one] of [first, second].entries()) {
      const imported = await client.ecdsa.importBackup(backups[i]!)
      expect(imported.key?.id).toBe(one.id)
      expect((await client.rest.listKeys()).keys).toHaveLength(i + 1)
      await signs(one, [server.url])
      expect(one.vertices[i]).toEqual({ url: server.url, keyId: imported.keyId })
    }
  })
})
