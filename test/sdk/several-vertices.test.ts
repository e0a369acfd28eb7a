import { MemoryShareStore, type EcdsaKey, type Vertex } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
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
