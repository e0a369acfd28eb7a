import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { ed25519 } from '@noble/curves/ed25519.js'
import {
  bytesToHex,
  hexToBytes,
  signKeyIdNotExists,
  signSuccessor,
  vaultIdentityFingerprint,
} from '@vertex/mpc'
import {
  EcdsaKey,
  IdentityError,
  KeyNotFoundError,
  MemoryShareStore,
  RollbackDetectedError,
  UnavailableError,
  type Fetch,
  type ShareStore,
  type Vertex,
  type VertexEvents,
} from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { vertexCommand } from '../support/command.js'
import { wipeData, type TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const message = utf8('sign on as if nothing had happened')
let server: TestServer

/** Restarts a killed server at its old address. */
const again = async () => {
  server = await harness.server('vertex', { port: server.port })
}
const lose = async () => {
  await server.kill()
  wipeData(server.folder)
  await again()
}

/** Counts the imports and lets a test meddle with answers. */
class Wire {
  imports = 0
  meddle: (path: string, send: () => Promise<Response>, init: RequestInit) => Promise<Response> = (
    _,
    send,
  ) => send()
  readonly fetch: Fetch = (input, init) => {
    const { pathname } = new URL(input)
    if (pathname.endsWith('/import-key-share')) this.imports++
    return this.meddle(pathname, () => fetch(input, init), init)
  }
}

interface Party {
  apiKey: string
  store: ShareStore
  wire: Wire
  vertex: Vertex
  key: EcdsaKey
  events: [string, unknown][]
}

async function party(options: { recovery?: 'off' } = {}): Promise<Party> {
  const apiKey = await server.createUser(`party ${Math.random()}`)
  const store = new MemoryShareStore()
  const wire = new Wire()
  const vertex = await harness.client(server, { apiKey, store, fetch: wire.fetch, ...options })
  const events: [string, unknown][] = []
  for (const name of ['recovered', 'backup', 'rollback-detected'] satisfies (keyof VertexEvents)[])
    vertex.on(name, (event) => events.push([name, event]))
  return { apiKey, store, wire, vertex, events, key: await vertex.ecdsa.createKey() }
}

const signs = async (key: EcdsaKey) => {
  const { der } = await key.sign({ message, hashAlgo: 'sha256' })
  expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
}

// One loss serves them all: each has its own user, key and store.
let lost: Record<'alone' | 'crowd' | 'careful' | 'refusing' | 'rolledBack', Party>
const oldData = join(harness.folder, 'old-data')

beforeAll(async () => {
  server = await harness.server('vertex')
  lost = {
    alone: await party(),
    crowd: await party(),
    careful: await party(),
    refusing: await party({ recovery: 'off' }),
    rolledBack: await party(),
  }
  await signs(lost.alone.key)
  await server.stop()
  cpSync(join(server.folder, 'data'), oldData, { recursive: true })
  wipeData(server.folder)
  await again()
})
afterAll(() => harness.end())

describe('after a total loss', () => {
  it('the next signature just comes, with the old API key, and then the share has a new handle', async () => {
    const { key, events, wire } = lost.alone
    const { keyId, publicKey, id } = key
    await signs(key)
    expect(key.keyId).not.toBe(keyId)
    expect([key.publicKey, key.id]).toEqual([publicKey, id])
    expect(events.map(([name]) => name)).toEqual(['backup', 'recovered'])
    expect(events[1]![1]).toMatchObject({ id, keyId: key.keyId, formerKeyId: keyId })
    await signs(key)
    expect(wire.imports).toBe(1)
    // And once more: what was recovered can be lost again.
    await lose()
    await signs(key)
    expect(wire.imports).toBe(2)
  })

  it('twenty signatures at once import the backup exactly once', async () => {
    const { key, vertex, wire, events } = lost.crowd
    const sameKey = await vertex.ecdsa.openKey(key.id)
    await Promise.all(Array.from({ length: 20 }, (_, i) => signs(i % 2 === 0 ? key : sameKey)))
    expect(wire.imports).toBe(1)
    expect(events.filter(([name]) => name === 'recovered')).toHaveLength(1)
    expect((await vertex.rest.listKeys()).keys).toHaveLength(1)
    expect(sameKey.keyId).toBe(key.keyId)
  })

  it('a signature comes only after the pinned key was found, the app agreed and the handle was stored', async () => {
    const { key, store, wire, apiKey } = lost.careful
    const { keyId } = key
    const tries = () => key.sign({ message, hashAlgo: 'sha256' })

    const other = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'
    wire.meddle = async (path, send) =>
      path.startsWith('/ecdsa/keys/')
        ? Response.json({ ...((await (await send()).json()) as object), pubkey: other })
        : send()
    await expect(tries()).rejects.toMatchObject({ errType: 'key_mismatch' })
    wire.meddle = (_, send) => send()

    const offers: unknown[] = []
    const asking = await harness.client(server, {
      apiKey,
      store,
      recovery: (offer) => {
        offers.push(offer)
        return false
      },
    })
    const opened = await asking.ecdsa.openKey(key.id)
    await expect(opened.sign({ message, hashAlgo: 'sha256' })).rejects.toMatchObject({
      refusal: 'off',
    })
    expect(offers).toEqual([expect.objectContaining({ id: key.id, keyId })])

    const put = store.put.bind(store)
    store.put = (kind, ...rest) =>
      kind === 'key' ? Promise.reject(new Error('disk full')) : put(kind, ...rest)
    await expect(tries()).rejects.toThrow('disk full')
    store.put = put
    expect(key.keyId).toBe(keyId)

    await signs(key)
    expect(key.keyId).not.toBe(keyId)
    // The server knew the blob each time: one handle.
    expect((await asking.rest.listKeys()).keys).toHaveLength(1)
  })
})

describe('a server that is killed in the middle of everything', () => {
  it('has every acknowledged key when it is back, and what was under way fails as unavailable', async () => {
    const { key, vertex, store } = await party()
    const acknowledged = [key]
    const making = Array.from({ length: 6 }, () =>
      vertex.ecdsa.createKey().then(async (made) => {
        acknowledged.push(made)
        if (acknowledged.length === 3) await server.kill()
      }),
    )
    const signing = Array.from({ length: 4 }, () => key.sign({ message, hashAlgo: 'sha256' }))
    const ended = await Promise.allSettled([...making, ...signing])
    const failed = ended.flatMap((one) =>
      one.status === 'rejected' ? [one.reason as unknown] : [],
    )
    expect(failed.length).toBeGreaterThan(0)
    for (const reason of failed) expect(reason).toBeInstanceOf(UnavailableError)
    expect(acknowledged.length).toBeGreaterThanOrEqual(3)

    await again()
    for (const one of acknowledged) await signs(one)
    // Keys whose making was cut off are finished when they are opened, or known to have never been made.
    for (const id of await store.list('key')) {
      const opened: unknown = await vertex.ecdsa.openKey(id).catch((error: unknown) => error)
      if (opened instanceof EcdsaKey) await signs(opened)
      else expect(opened).toMatchObject({ errType: 'keygen_unfinished' })
    }
  })
})

describe('no backup leaves by itself', () => {
  let body: Record<string, unknown>
  let nonce: string

  beforeAll(async () => {
    const { key, wire } = lost.refusing
    wire.meddle = async (path, send, init) => {
      const answer = await send()
      if (path !== '/ecdsa/sign') return answer
      body = (await answer.clone().json()) as Record<string, unknown>
      nonce = (init.headers as Record<string, string>)['x-vertex-nonce']!
      return answer
    }
    await expect(key.sign({ message, hashAlgo: 'sha256' })).rejects.toMatchObject({
      refusal: 'off',
    })
  })

  /** Signs with a client that sees `answer` in the place of the server's. */
  async function facing(answer: (nonce: string) => object | Promise<object>): Promise<unknown> {
    const wire = new Wire()
    wire.meddle = async (path, send, init) => {
      const sent = (init.headers as Record<string, string>)['x-vertex-nonce'] ?? ''
      return path === '/ecdsa/sign' ? Response.json(await answer(sent), { status: 400 }) : send()
    }
    const { apiKey, store, key } = lost.refusing
    const vertex = await harness.client(server, { apiKey, store, fetch: wire.fetch })
    const opened = await vertex.ecdsa.openKey(key.id)
    const error: unknown = await opened
      .sign({ message, hashAlgo: 'sha256' })
      .catch((reason: unknown) => reason)
    expect(wire.imports).toBe(0)
    expect(error).toBeInstanceOf(KeyNotFoundError)
    return (error as KeyNotFoundError).refusal
  }

  it('to an answer that was recorded: its nonce is not ours', async () => {
    expect(body).toMatchObject({ err_type: 'key_id_not_exists', nonce })
    expect(await facing(() => body)).toBe('unsigned')
    expect(await facing((fresh) => ({ ...body, nonce: fresh }))).toBe('unsigned')
  })

  it('to a plain key_id_not_exists, as a server says it that was not given a nonce', async () => {
    expect(await facing(() => ({ err_msg: 'no', err_type: 'key_id_not_exists' }))).toBe('unsigned')
  })

  it('to an answer in which anything that is signed, or its signature, is missing or malformed', async () => {
    for (const name of [
      'vault_name',
      'api_key_id',
      'key_id',
      'generation',
      'nonce',
      'identity',
      'signature',
    ])
      for (const value of [undefined, 7, 'zz', '', 'ab'.repeat(32)])
        expect(await facing(() => ({ ...body, [name]: value }))).toBe('unsigned')
  })

  it('to a vault that signs everything rightly, but is another one', async () => {
    const seed = new Uint8Array(32).fill(7)
    expect(
      await facing((fresh) => {
        const statement = {
          vaultName: body['vault_name'] as string,
          apiKeyId: body['api_key_id'] as string,
          keyId: body['key_id'] as string,
          generation: body['generation'] as string,
          nonce: hexToBytes(fresh),
        }
        return {
          ...body,
          nonce: fresh,
          identity: bytesToHex(ed25519.getPublicKey(seed)),
          signature: bytesToHex(signKeyIdNotExists(seed, statement)),
        }
      }),
    ).toBe('unsigned')
  })

  it('to a true answer that another account got: its API key is not ours', async () => {
    const middleMan = await server.createUser('in the middle')
    const refusal = await facing(async (fresh) => {
      const answer = await fetch(`${server.url}/ecdsa/keys/${body['key_id'] as string}`, {
        headers: {
          authorization: middleMan,
          'x-vertex-nonce': fresh,
          'x-vertex-identity': bytesToHex(
            vaultIdentityFingerprint(hexToBytes(body['identity'] as string)),
          ),
        },
      })
      const said = (await answer.json()) as Record<string, unknown>
      expect(said).toMatchObject({
        err_type: 'key_id_not_exists',
        key_id: body['key_id'],
        nonce: fresh,
        signature: expect.any(String) as string,
      })
      expect(said['api_key_id']).not.toBe(body['api_key_id'])
      return said
    })
    expect(refusal).toBe('unsigned')
  })

  it('to a server under another backup secret', async () => {
    const { key, store } = lost.refusing
    const other = await harness.server('other')
    const wire = new Wire()
    const vertex = await harness.client(other, { store, fetch: wire.fetch })
    const opened = await vertex.ecdsa.openKey(key.id)
    await expect(opened.sign({ message, hashAlgo: 'sha256' })).rejects.toMatchObject({
      refusal: 'unsigned',
    })
    expect(wire.imports).toBe(0)
    await other.kill()
  })
})

describe('a key that was not lost', () => {
  let standing: Party
  beforeAll(async () => {
    standing = await party()
  })

  it('is not imported on a server error of another kind, which keeps its type', async () => {
    const { key, wire } = standing
    wire.meddle = (path, send) =>
      path === '/ecdsa/sign'
        ? Promise.resolve(
            Response.json(
              { err_msg: 'not now', err_type: 'storage_unavailable' },
              { status: 503, headers: { 'retry-after': '1' } },
            ),
          )
        : send()
    const error: unknown = await key
      .sign({ message, hashAlgo: 'sha256' })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ errType: 'storage_unavailable', retryAfter: 1 })
    expect(wire.imports).toBe(0)
    wire.meddle = (_, send) => send()
    await signs(key)
  })

  it('keeps its old backup when the vault does not prove its pinned identity', async () => {
    const { key, store, wire, events } = standing
    const before = await store.get('key', key.id)
    const seed = new Uint8Array(32).fill(7)
    type Answer = Record<string, unknown>
    const answers: Record<string, (said: Answer) => Response> = {
      unsigned: ({ err_msg, err_type }) => Response.json({ err_msg, err_type }, { status: 400 }),
      'a successor of its own choice': (said) => {
        const [vaultName, successor] = [said['vault_name'] as string, ed25519.getPublicKey(seed)]
        const signature = bytesToHex(signSuccessor(seed, { vaultName, successor }))
        const chosen = { public_key: bytesToHex(successor), signature }
        return Response.json({ ...said, successor: chosen }, { status: 400 })
      },
      'a key that nobody has': () =>
        Response.json({ keygen_id: `02${'1b'.repeat(32)}`, pubkey: bytesToHex(key.publicKey) }),
    }
    for (const [name, answer] of Object.entries(answers)) {
      wire.meddle = async (path, send) => {
        const given = await send()
        const asksForNothing = path.startsWith('/ecdsa/keys/') && given.status === 400
        return asksForNothing ? answer((await given.json()) as Answer) : given
      }
      for (const attempt of [() => key.exportBackup(), () => key.verifyBackup()]) {
        const error: unknown = await attempt().catch((reason: unknown) => reason)
        expect(error, name).toBeInstanceOf(IdentityError)
        expect(error, name).toMatchObject({ errType: 'identity_mismatch' })
      }
    }
    wire.meddle = (path, send) =>
      path.startsWith('/ecdsa/keys/')
        ? Promise.resolve(Response.json({ err_type: 'storage_unavailable' }, { status: 503 }))
        : send()
    await expect(key.exportBackup()).rejects.toMatchObject({ errType: 'storage_unavailable' })
    expect(await store.get('key', key.id)).toEqual(before)
    expect(events.filter(([name]) => name === 'backup')).toHaveLength(1)

    wire.meddle = (_, send) => send()
    await key.exportBackup()
    expect(await store.get('key', key.id)).not.toEqual(before)
  })

  it('is not imported after it was deleted', async () => {
    const { key, vertex, wire } = standing
    await vertex.rest.deleteKeyShare({ key_id: key.keyId })
    await expect(key.sign({ message, hashAlgo: 'sha256' })).rejects.toMatchObject({
      errType: 'key_id_not_exists',
      status: 400,
      refusal: 'same_generation',
    })
    expect(wire.imports).toBe(0)
  })
})

describe('a server that was put back to an older state', () => {
  it('stops the work, until its operator has marked the database as restored', async () => {
    const { key, wire, events } = lost.rolledBack
    await signs(key)
    expect(wire.imports).toBe(1)

    await server.stop()
    wipeData(server.folder)
    cpSync(oldData, join(server.folder, 'data'), { recursive: true })
    await again()
    for (let attempt = 0; attempt < 2; attempt++) {
      const error: unknown = await key
        .sign({ message, hashAlgo: 'sha256' })
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(RollbackDetectedError)
      expect(error).toMatchObject({ reason: 'generation_returned' })
    }
    expect(wire.imports).toBe(1)
    const detected = events.filter(([name]) => name === 'rollback-detected')
    expect(detected).toHaveLength(2)
    expect(detected[0]![1]).toMatchObject({ id: key.id, reason: 'generation_returned' })

    await server.stop()
    const { status } = vertexCommand(['restore', '--in-place'], { folder: server.folder })
    expect(status).toBe(0)
    await again()
    await signs(key)
    expect(wire.imports).toBe(2)
  })
})
