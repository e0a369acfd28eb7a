import { nativeSuite } from '@vertex/mpc/native'
import {
  KeyNotFoundError,
  MemoryShareStore,
  ProtocolError,
  RequestError,
  UnavailableError,
  type EcdsaKey,
  type Fetch,
  type ToSign,
  type Vertex,
} from '@vertex/sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { wipeData, type TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const store = new MemoryShareStore()
let server: TestServer
let apiKey: string
let vertex: Vertex
let key: EcdsaKey

/** What went out, by path, and a chance to meddle with what comes back. */
const sent: { path: string; body: unknown }[] = []
let meddle: (path: string, send: () => Promise<Response>) => Promise<Response> = (_, send) => send()
const wire: Fetch = (input, init) => {
  const path = new URL(input).pathname
  sent.push({ path, body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined })
  return meddle(path, () => fetch(input, init))
}
const asked = (path: string) => sent.filter((one) => one.path === path)
const client = (options = {}) => harness.client(server, { store, apiKey, fetch: wire, ...options })

const orders = (count: number, size = 8): ToSign[] =>
  Array.from({ length: count }, (_, i) => ({
    message: utf8(`${i} `.padEnd(size, '.')),
    hashAlgo: 'sha256',
    ...(i % 3 === 1 && { derivationPath: [i] }),
  }))

function expectSigned(messages: readonly ToSign[], signatures: readonly { der: Uint8Array }[]) {
  expect(signatures).toHaveLength(messages.length)
  messages.forEach(({ message, derivationPath = [] }, i) => {
    const { der } = signatures[i]!
    expect(opensslVerifies(key.derivePublicKey(derivationPath), message, der)).toBe(true)
  })
}

beforeAll(async () => {
  server = await harness.server('vertex')
  apiKey = await server.createUser('owner')
  vertex = await client()
  key = await vertex.ecdsa.createKey()
})
beforeEach(() => {
  sent.length = 0
  meddle = (_, send) => send()
})
afterAll(() => harness.end())

describe('a batch of the SDK', () => {
  it('is signed in order, in one room and one request', async () => {
    const messages = orders(16)
    expectSigned(messages, await key.signBatch(messages))
    expect(asked('/create-room')).toHaveLength(1)
    expect(asked('/ecdsa/sign')).toEqual([])
    const requests = asked('/ecdsa/batch-sign').map(({ body }) => body)
    expect(requests).toEqual([
      { sign_requests: expect.objectContaining({ length: 16 }) as unknown },
    ])
  })

  it('of one is a single signature, and of none is nothing', async () => {
    const [one] = orders(1)
    expectSigned([one!], await key.signBatch([one!]))
    expect([asked('/ecdsa/sign').length, asked('/ecdsa/batch-sign').length]).toEqual([1, 0])
    sent.length = 0
    expect(await key.signBatch([])).toEqual([])
    expect(sent).toEqual([])
  })

  it('of more than 32 is split', async () => {
    const messages = orders(33)
    expectSigned(messages, await key.signBatch(messages))
    expect(asked('/ecdsa/batch-sign')).toHaveLength(1)
    expect(asked('/ecdsa/sign')).toHaveLength(1)
  })

  it('of more bytes than one request takes is split', async () => {
    const messages = orders(5, 12_000)
    expectSigned(messages, await key.signBatch(messages))
    expect([asked('/ecdsa/sign').length, asked('/ecdsa/batch-sign').length]).toEqual([1, 2])
  })

  it('goes on beside other batches and signatures of the key', async () => {
    const batches = [orders(3), orders(5)]
    const [alone] = orders(1)
    const [first, second, one] = await Promise.all([
      key.signBatch(batches[0]!),
      key.signBatch(batches[1]!),
      key.sign(alone as never),
    ])
    expectSigned(batches[0]!, first)
    expectSigned(batches[1]!, second)
    expectSigned([alone!], [one])
  })

  it('with one message that is none sends nothing', async () => {
    const [a, b] = orders(2)
    for (const bad of [
      { ...b!, derivationPath: [2 ** 31] },
      { ...b!, hashAlgo: 'none' },
      { message: 'text', hashAlgo: 'sha256' },
    ])
      await expect(key.signBatch([a!, bad as never])).rejects.toBeInstanceOf(RequestError)
    expect(sent).toEqual([])
  })

  it('ends at its deadline or signal', async () => {
    const signal = AbortSignal.abort(new Error('no longer wanted'))
    await expect(key.signBatch(orders(2), { signal })).rejects.toThrow('no longer wanted')
    meddle = () => new Promise(() => undefined)
    // While it waits for a room, or in one that was opened ahead for the Vertex.
    await expect(key.signBatch(orders(2), { deadlineMs: 300 })).rejects.toMatchObject({
      errType: expect.stringMatching(/^(deadline_exceeded|room_timeout)$/) as string,
    })
  })

  it('takes no answer that is not one entry for each message', async () => {
    const signature = { Signature: { r: '', s: '', v: 0, der: '' } }
    for (const answer of [{}, [], [signature], [signature, {}], [signature, null]]) {
      meddle = (path, send) =>
        path === '/ecdsa/batch-sign' ? Promise.resolve(Response.json(answer)) : send()
      await expect(key.signBatch(orders(2))).rejects.toMatchObject({ errType: 'bad_response' })
    }
  })

  it('goes into a new room when the one that was opened ahead is gone', async () => {
    const opened = await (await client()).ecdsa.openKey(key.id)
    await opened.signBatch(orders(2)) // from here on there are rooms ahead
    sent.length = 0
    const gone = { err_type: 'room_not_found', err_msg: 'there is no such room' }
    meddle = (path, send) =>
      path === '/ecdsa/batch-sign' && asked(path).length === 1
        ? Promise.resolve(Response.json([{ Error: gone }, { Error: gone }]))
        : send()
    const messages = orders(2)
    expectSigned(messages, await opened.signBatch(messages))
    expect(asked('/ecdsa/batch-sign')).toHaveLength(2)
  })

  it('fails with the error of an entry', async () => {
    const error = { err_type: 'too_busy', err_msg: 'the server has as many runs as it can take' }
    meddle = (path, send) =>
      path === '/ecdsa/batch-sign'
        ? Promise.resolve(Response.json([{ Error: error }, { Error: error }]))
        : send()
    const failure: unknown = await key.signBatch(orders(2)).catch((e: unknown) => e)
    expect(failure).toBeInstanceOf(UnavailableError)
    expect(failure).toMatchObject({ errType: 'too_busy', message: error.err_msg })
  })

  it('in which a check fails gives nothing, retires the setup once and is not tried again', async () => {
    const suite = nativeSuite()
    let verified = 0
    const recover: typeof suite.curve.recover = (signature, digest) =>
      ++verified < 3 ? suite.curve.recover(signature, digest) : undefined
    const doubting = await client({ suite: { ...suite, curve: { ...suite.curve, recover } } })
    const opened = await doubting.ecdsa.openKey(key.id)
    const failure: unknown = await opened.signBatch(orders(4)).catch((e: unknown) => e)
    expect(failure).toBeInstanceOf(ProtocolError)
    expect(failure).toMatchObject({ code: 'signature_invalid', reaction: 'retire_setup' })
    expect(verified).toBe(3)
    expect(asked('/ecdsa/batch-sign')).toHaveLength(1)
    expect(await store.list('setup')).toEqual([])
    const messages = orders(2)
    expectSigned(messages, await key.signBatch(messages))
  })
})

describe('a batch after the Vertex has lost everything', () => {
  it('recovers the share once, and is signed', async () => {
    const { keyId } = key
    const refusing = await client({ recovery: 'off' })
    const opened = await refusing.ecdsa.openKey(key.id)
    await server.kill()
    wipeData(server.folder)
    server = await harness.server('vertex', { port: server.port })
    const refused: unknown = await opened.signBatch(orders(2)).catch((e: unknown) => e)
    expect(refused).toBeInstanceOf(KeyNotFoundError)
    expect(refused).toMatchObject({ refusal: 'off' })

    sent.length = 0
    const messages = orders(34)
    expectSigned(messages, await key.signBatch(messages))
    expect(asked('/ecdsa/backup/import-key-share')).toHaveLength(1)
    expect(key.keyId).not.toBe(keyId)
    // One for the batch that missed the key, and one for each that was signed.
    expect(asked('/ecdsa/batch-sign')).toHaveLength(3)
  })
})
