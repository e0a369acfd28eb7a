import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { inspect, promisify } from 'node:util'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { HDKey } from './support/hd-key.js'
import {
  AuthenticationError,
  MemoryShareStore,
  RoomTimeoutError,
  UnavailableError,
  Vertex,
  VertexError,
  type EcdsaKey,
  type ShareStore,
} from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { bundleForNode } from '../support/bundle.js'
import type { TestServer } from '../support/server.js'
import { Harness, hex, utf8 } from './support/harness.js'
import { libsecpVerifies, opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
let server: TestServer
let apiKey: string
let vertex: Vertex
let store: ShareStore
let key: EcdsaKey

beforeAll(async () => {
  server = await harness.server('vertex')
  store = new MemoryShareStore()
  apiKey = await server.createUser('owner')
  vertex = await harness.client(server, { store, apiKey })
  key = await vertex.ecdsa.createKey()
})
afterAll(() => harness.end())

describe('a key of the SDK and a Vertex', () => {
  it('has a public key, a name for ever, and a verified backup from the first moment', async () => {
    expect(key.publicKey).toHaveLength(33)
    expect([key.threshold, key.parties, key.epoch]).toEqual([2, 2, 0])
    expect(await vertex.ecdsa.listKeys()).toEqual([key.id])
    const verified = await key.verifyBackup()
    expect(verified).toMatchObject({ keyId: key.keyId, publicKey: hex(key.publicKey), epoch: 0 })
  })

  it('makes signatures that OpenSSL accepts', async () => {
    const message = utf8('a message')
    const { r, s, der } = await key.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    expect(opensslVerifies(key.publicKey, utf8('another message'), der)).toBe(false)
    expect([r.length, s.length]).toEqual([32, 32])
  })

  it('signs every kind of digest, and libsecp256k1 recovers the key from each', async () => {
    const message = utf8('a message')
    const digest = sha256(utf8('already hashed'))
    const cases = [
      ['sha256', message, sha256(message)],
      ['sha256d', message, sha256(sha256(message))],
      ['keccak256', message, keccak_256(message)],
      ['none', digest, digest],
    ] as const
    for (const [hashAlgo, input, signed] of cases) {
      const signature = await key.sign({ message: input, hashAlgo })
      expect(libsecpVerifies(key.publicKey, signed, signature)).toBe(true)
    }
  })

  it('signs with children of the key, as an independent BIP-32 derives them', async () => {
    const message = utf8('for a child')
    const child = key.derivePublicKey([0, 1, 2147483647])
    const { pubkey, chain_code } = await vertex.rest.getKey({ key_id: key.keyId })
    expect(child).toEqual(HDKey(pubkey!, chain_code!, [0, 1, 2147483647]))
    const { der } = await key.sign({
      message,
      hashAlgo: 'sha256',
      derivationPath: [0, 1, 2147483647],
    })
    expect(opensslVerifies(child, message, der)).toBe(true)
    expect(opensslVerifies(key.publicKey, message, der)).toBe(false)
  })

  it('signs many messages at once', async () => {
    const messages = Array.from({ length: 8 }, (_, i) => utf8(`message ${i}`))
    const signatures = await Promise.all(
      messages.map((message) => key.sign({ message, hashAlgo: 'sha256' })),
    )
    for (const [i, { der }] of signatures.entries())
      expect(opensslVerifies(key.publicKey, messages[i]!, der)).toBe(true)
  })

  it('is opened and used by another process that has its files', async () => {
    const directory = join(harness.folder, 'shares')
    const passphrase = 'a passphrase of the test'
    const files = await FileShareStore.open({ directory, passphrase })
    const apiKey = await server.createUser('with files')
    const first = await harness.client(server, { store: files, apiKey })
    const made = await first.ecdsa.createKey()
    await files.close()
    const script = await bundleForNode(join(import.meta.dirname, 'support/open-and-sign.ts'))
    const { stdout } = await promisify(execFile)(process.execPath, [
      script,
      ...[server.url, apiKey, directory, passphrase, made.id, 'from elsewhere'],
    ])
    expect(
      opensslVerifies(made.publicKey, utf8('from elsewhere'), Buffer.from(stdout, 'hex')),
    ).toBe(true)
    await (await FileShareStore.open({ directory, passphrase })).close()
  })

  it('shows no secret when it is printed or turned into JSON', async () => {
    const item = (await store.get('key', key.id))!
    // The share follows the record's public part; its secret scalar stands behind 9 bytes of head.
    const shareAt = 12 + new DataView(item.value.buffer).getUint32(8)
    const secret = hex(item.value.slice(shareAt + 9, shareAt + 41))
    expect(secret).not.toMatch(/^0+$/)
    for (const value of [
      vertex,
      key,
      vertex.ecdsa,
      await caught(key.verifyBackup({ vertex: 'x' })),
    ]) {
      const shown = `${inspect(value, { depth: 12, showHidden: true })} ${JSON.stringify(value)} ${String(value)}`
      expect(shown).not.toContain(secret)
      expect(shown).not.toContain(Buffer.from(secret, 'hex').toString('base64'))
      expect(shown).not.toMatch(/vtx_/)
      expect(shown).not.toContain(inspect(Buffer.from(secret, 'hex')).slice(8, 40))
    }
    expect(JSON.parse(JSON.stringify(key))).toEqual({
      id: key.id,
      keyId: key.keyId,
      publicKey: hex(key.publicKey),
    })
  })

  it('is gone on both sides after delete', async () => {
    const doomed = await vertex.ecdsa.createKey()
    const { keyId, id } = doomed
    await doomed.delete()
    expect(await vertex.ecdsa.listKeys()).toEqual([key.id])
    expect(await store.list('setup')).not.toContainEqual(expect.stringContaining(id))
    await expect(vertex.ecdsa.openKey(id)).rejects.toMatchObject({ errType: 'share_not_found' })
    await expect(vertex.rest.getKey({ key_id: keyId })).rejects.toBeInstanceOf(Response)
  })
})

describe('createKey', () => {
  it('has the share in the store before keygen is confirmed, and finishes the key when it is opened', async () => {
    const apiKey = await server.createUser('interrupted')
    const interrupted = new MemoryShareStore()
    // The export is cut off, as by a crash of the app right after keygen.
    const cut = await harness.client(server, {
      store: interrupted,
      apiKey,
      fetch: (input, init) =>
        input.includes('/backup/') ? Promise.reject(new TypeError('cut')) : fetch(input, init),
    })
    await expect(cut.ecdsa.createKey()).rejects.toBeInstanceOf(UnavailableError)
    const [id] = await interrupted.list('key')
    const whole = await harness.client(server, { store: interrupted, apiKey })
    const finished = await whole.ecdsa.openKey(id!)
    await finished.verifyBackup()
    const message = utf8('after all')
    const { der } = await finished.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(finished.publicKey, message, der)).toBe(true)
  })

  it('confirms keygen to the Vertex only when the share is in the store', async () => {
    const slow = new MemoryShareStore()
    const order: string[] = []
    const put = slow.put.bind(slow)
    slow.put = async (kind, id, value, expected) => {
      await new Promise((resolve) => setTimeout(resolve, 300))
      const version = await put(kind, id, value, expected)
      if (kind === 'key' && expected === 0) order.push('stored')
      return version
    }
    const client = await harness.client(server, {
      store: slow,
      fetch: async (input, init) => {
        const answer = await fetch(input, init)
        if (input.endsWith('/ecdsa/keygen')) order.push('answered')
        return answer
      },
    })
    await client.ecdsa.createKey()
    expect(order).toEqual(['stored', 'answered'])
  })

  it('makes no key whose share the store does not take', async () => {
    const full = new MemoryShareStore()
    full.put = (kind) =>
      kind === 'key' ? Promise.reject(new Error('disk full')) : Promise.resolve(1)
    const client = await harness.client(server, { store: full })
    await expect(client.ecdsa.createKey()).rejects.toThrow('disk full')
    const { keys } = await client.rest.listKeys()
    // The Vertex may hold a share that nobody will ever use, but the SDK has no key to show.
    expect(keys.length).toBeLessThanOrEqual(1)
    expect(await client.ecdsa.listKeys()).toEqual([])
  })

  it('refuses parties that do not fit', async () => {
    await expect(vertex.ecdsa.createKey({ parties: 3 })).rejects.toMatchObject({
      errType: 'bad_argument',
    })
    await expect(vertex.ecdsa.createKey({ threshold: 3 })).rejects.toMatchObject({
      errType: 'bad_argument',
    })
  })
})

describe('errors', () => {
  it('tell a wrong API key', async () => {
    const client = await harness.client(server, { apiKey: 'vtx_wrong', store })
    await expect(client.ecdsa.createKey()).rejects.toBeInstanceOf(AuthenticationError)
  })

  it('tell that no Vertex answers', async () => {
    const client = await harness.client(server, {
      apiKey: 'vtx_any',
      url: 'http://127.0.0.1:9',
      store,
    })
    const opened = await client.ecdsa.openKey(key.id)
    const error = await caught(opened.sign({ message: utf8('x'), hashAlgo: 'sha256' }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ errType: 'connection_failed', status: undefined })
  })

  it('carry what the server said, with a response that can still be read', async () => {
    const client = await harness.client(server, {
      store,
      fetch: (input, init) =>
        input.endsWith('/create-room')
          ? Promise.resolve(
              Response.json(
                { err_msg: 'busy', err_type: 'too_busy', extra: 1 },
                { status: 503, headers: { 'retry-after': '7' } },
              ),
            )
          : fetch(input, init),
    })
    const opened = await client.ecdsa.openKey(key.id)
    const error = await caught(opened.sign({ message: utf8('x'), hashAlgo: 'sha256' }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ errType: 'too_busy', status: 503, retryAfter: 7 })
    expect((error as VertexError).details).toEqual({ extra: 1 })
    expect(await (error as VertexError).response!.json()).toMatchObject({ err_type: 'too_busy' })
  })

  it('say who did not come when the deadline ends a room', async () => {
    const client = await harness.client(server, {
      store,
      // The Vertex never hears of it, so only this party comes.
      fetch: (input, init) =>
        input.endsWith('/ecdsa/sign')
          ? new Promise((_, reject) => {
              init.signal!.addEventListener('abort', () => reject(new Error('aborted')))
            })
          : fetch(input, init),
    })
    const opened = await client.ecdsa.openKey(key.id)
    const started = performance.now()
    const error = await caught(
      opened.sign({ message: utf8('x'), hashAlgo: 'sha256', deadlineMs: 2_000 }),
    )
    expect(error).toBeInstanceOf(RoomTimeoutError)
    expect((error as RoomTimeoutError).missing).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('let the app give up by itself', async () => {
    const controller = new AbortController()
    const signing = key.sign({ message: utf8('x'), hashAlgo: 'sha256', signal: controller.signal })
    controller.abort(new Error('not wanted any more'))
    await expect(signing).rejects.toThrow('not wanted any more')
  })

  it('name arguments that cannot be right, before anything is sent', async () => {
    const bad = { errType: 'bad_argument' }
    const message = utf8('x')
    await expect(key.sign({ message, hashAlgo: 'none' })).rejects.toMatchObject(bad)
    await expect(key.sign({ message, hashAlgo: 'md5' as 'none' })).rejects.toMatchObject(bad)
    for (const index of [-1, 0.5, 2 ** 31, NaN])
      await expect(
        key.sign({ message, hashAlgo: 'sha256', derivationPath: [index] }),
      ).rejects.toMatchObject(bad)
    for (const url of [
      'http://vertex.example',
      'ftp://127.0.0.1',
      'https://user:pw@vertex.example',
      'https://vertex.example/?a=1',
      'not a url',
    ])
      expect(() => new Vertex({ url, apiKey: 'k', store, allowHttpOnLoopback: true })).toThrow(
        VertexError,
      )
    expect(() => new Vertex({ url: server.url, apiKey: 'k', store })).toThrow('allowHttpOnLoopback')
    expect(() => new Vertex({ url: 'https://v.example', apiKey: 'a b', store })).toThrow(
      VertexError,
    )
  })

  it('follow no redirect', async () => {
    const seen: RequestInit[] = []
    const client = await harness.client(server, {
      store,
      apiKey,
      fetch: (input, init) => {
        seen.push(init)
        return fetch(input, init)
      },
    })
    await (await client.ecdsa.openKey(key.id)).verifyBackup()
    expect(seen.length).toBeGreaterThan(0)
    for (const { redirect } of seen) expect(redirect).toBe('error')
  })
})

async function caught(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}
