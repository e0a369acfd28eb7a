import { randomBytes } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import {
  canonical,
  encryptMessage,
  entryText,
  makeEntry,
  makeKeyInit,
  makeUid,
  newUidSecrets,
  NO_HASH,
  replyOf,
  ROLLOVER,
  splitEntry,
  toBase64,
  type UidMessage,
} from '@vertex/directory/keyserver'
import {
  createEscrowKey,
  createNameSecrets,
  escrowKeyOf,
  IdentityError,
  MemoryShareStore,
  openSealedBackup,
  RequestError,
  UnavailableError,
  VertexError,
  type EcdsaKey,
  type Fetch,
  type KeyInitSecret,
  type Vertex,
} from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

// What passes by is what these tests change, so they look into it freely.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any

const harness = new Harness()
let server: TestServer
let apiKey: string
let store: MemoryShareStore
let vertex: Vertex
let key: EcdsaKey

beforeAll(async () => {
  server = await harness.server('one', {
    settings: {
      VERTEX_KEYSERVER_DOMAINS: 'mute.example',
      VERTEX_RATE_DIRECTORY_WRITES: '100000',
    },
  })
  apiKey = await server.createUser('somebody')
  store = new MemoryShareStore()
  vertex = await harness.client(server, { store, apiKey })
  key = await vertex.ecdsa.createKey()
})
afterAll(() => harness.end())

const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error as VertexError,
  )

/** A client to which somebody in between tells something else of what the keyserver answers. */
function lied(change: (method: string, result: Json, params: Json) => unknown, other?: Fetch) {
  const lying: Fetch = async (input, init) => {
    const response = await (other ?? fetch)(input, init)
    if (new URL(input).pathname !== '/') return response
    const { method, params } = JSON.parse(init.body as string)
    const answer = await response.json()
    if (answer.result !== undefined) answer.result = change(method, answer.result, params)
    return new Response(JSON.stringify(answer), { status: response.status })
  }
  return harness.client(server, { store, apiKey, fetch: lying })
}

/** A keyserver that puts on its chain whatever it wants to, and signs it. */
class OwnChain {
  readonly #secrets = newUidSecrets()
  readonly #entries: Uint8Array[] = []
  readonly #replies = new Map<string, Json>()
  readonly now = Math.floor(Date.now() / 1000)

  constructor() {
    const { now } = this
    this.put(makeUid(this.#secrets, { identity: 'keyserver@mute.example', lastEntry: '', now }))
  }

  put(message: UidMessage): void {
    const { uidHash, encrypted } = encryptMessage(canonical(message), randomBytes(16))
    const last = this.#entries.at(-1)
    const before = last === undefined ? NO_HASH : splitEntry(last).hash
    const entry = makeEntry(message.UIDContent.IDENTITY, uidHash, before, randomBytes(24))
    const ENTRY = replyOf(encrypted, entry, this.#entries.push(entry) - 1)
    const SERVERSIGNATURE = toBase64(ed25519.sign(canonical(ENTRY), this.#secrets.sigKey))
    const index = toBase64(splitEntry(entry).uidIndex)
    this.#replies.set(index, { UIDMessageReply: { ENTRY, SERVERSIGNATURE } })
  }

  get last(): string {
    return entryText(this.#entries.at(-1)!)
  }

  #answer(method: string, params: Json): Json {
    const all = this.#entries.map(entryText)
    switch (method) {
      case 'KeyHashchain.FetchLastHashChain':
        return { HCEntry: all.at(-1), HCPos: all.length - 1 }
      case 'KeyHashchain.FetchHashChain':
        return { HCEntries: all.slice(params.StartPosition), HCFirstPos: params.StartPosition }
      case 'KeyRepository.UpdateUID':
        this.put(params.UIDMessage)
        return {}
      default:
        return this.#replies.get(params.UIDIndex as string)
    }
  }

  client() {
    const other: Fetch = (_, init) => {
      const { method, params } = JSON.parse(init.body as string)
      return Promise.resolve(Response.json({ result: this.#answer(method as string, params) }))
    }
    return harness.client(server, { store, apiKey, fetch: other })
  }
}

let names = 0
const newName = () => `person-${'abcdefghiklmnop'[names++]!}@mute.example`

async function somebody(forwardSecrecy: 'strict' | 'mandatory' | 'optional' = 'mandatory') {
  const [name, secrets, escrow] = [newName(), createNameSecrets(), createEscrowKey()]
  await vertex.directory.names.register(name, secrets, { escrow: escrow.secret, forwardSecrecy })
  return { name, secrets, escrow }
}

describe('a name', () => {
  it('is registered, found by others, and registered no second time', async () => {
    const { names } = vertex.directory
    const [secrets, escrow] = [createNameSecrets(), createEscrowKey()]
    const made = await names.register('Jason@mute.example', secrets, { escrow: escrow.secret })
    expect(made).toMatchObject({
      identity: 'iason@mute.example',
      hasEscrowKey: true,
      forwardSecrecy: 'mandatory',
    })
    const again = await names.register('jason@mute.example', secrets)
    expect(again.signingKey).toBe(made.signingKey)
    const other = await harness.client(server, { store, apiKey })
    const found = await other.directory.names.lookup('jason@mute.example', { known: made.seen })
    expect(found).toEqual({ ...made, seen: found.seen })
    const thief = names.register('iason@mute.example', createNameSecrets())
    expect(await errorOf(thief)).toMatchObject({ errType: 'name_taken' })
    expect(await errorOf(names.lookup('nobody@mute.example'))).toMatchObject({
      errType: 'party_not_found',
    })
    expect(await errorOf(names.lookup('x'))).toBeInstanceOf(RequestError)
    const unserved = names.register('alice@other.example', createNameSecrets())
    expect(await errorOf(unserved)).toMatchObject({ errType: 'chain_invalid' })
  })

  it('is one of two who want it at one time', async () => {
    const name = newName()
    const both = await Promise.all(
      [1, 2].map(async () => {
        const client = await harness.client(server, { store, apiKey })
        return errorOf(client.directory.names.register(name, createNameSecrets()))
      }),
    )
    expect(both.filter((error) => error === undefined)).toHaveLength(1)
    expect(both.find((error) => error !== undefined)).toMatchObject({ errType: 'name_taken' })
  })

  it('is renewed, with the same keys or with others', async () => {
    const { name, secrets } = await somebody()
    const { names } = vertex.directory
    const same = await names.renew(name, secrets)
    const next = createNameSecrets()
    const other = await names.renew(name, secrets, { next })
    expect(other.signingKey).not.toBe(same.signingKey)
    expect(await errorOf(names.renew(name, secrets))).toBeInstanceOf(RequestError)
    await names.renew(name, next)
  })
})

describe('a party that has lost its device', () => {
  it('comes back with the key on paper, and opens what is sealed to it from then on', async () => {
    const { name, secrets, escrow } = await somebody()
    await vertex.directory.names.publishKeys(name, secrets, 2)
    // Another device, another client: a paper, a name and a public chain.
    const device = await harness.client(server, { store, apiKey })
    const fresh = createNameSecrets()
    const { names } = device.directory
    const wrong = names.recover(name, createEscrowKey().secret, fresh)
    expect(await errorOf(wrong)).toMatchObject({ errType: 'escrow_key_wrong' })
    expect(() => escrowKeyOf(escrow.paper.replace(/^./, (d) => (d === '0' ? '1' : '0')))).toThrow(
      RequestError,
    )
    const back = await names.recover(name, escrowKeyOf(escrow.paper), fresh)
    // An answer that was lost: it is done once.
    expect((await names.recover(name, escrowKeyOf(escrow.paper), fresh)).seen).toEqual(back.seen)
    // What the lost device knew is of no use any more.
    expect(await errorOf(vertex.directory.names.renew(name, secrets))).toBeInstanceOf(RequestError)
    expect(await errorOf(vertex.directory.names.publishKeys(name, secrets, 1))).toMatchObject({
      errType: 'party_not_found',
    })
    const none = errorOf(vertex.directory.sealBackupTo(`mute:${name}`, key))
    expect(await none).toMatchObject({ message: expect.stringContaining('no key left') as string })
    const [own] = await names.publishKeys(name, fresh, 1)
    const sealed = await vertex.directory.sealBackupTo(`mute:${name}`, key)
    const backup = await openSealedBackup(sealed, own!.secret)
    const { keyId } = await vertex.ecdsa.importBackup(backup)
    expect(keyId).toBeDefined()
    const message = utf8('after the loss')
    const { der } = await key.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    // And the paper itself may be replaced.
    const another = createEscrowKey()
    const third = createNameSecrets()
    await names.recover(name, escrow.secret, third, { newEscrow: another.secret })
    const former = names.recover(name, escrow.secret, createNameSecrets())
    expect(await errorOf(former)).toMatchObject({ errType: 'escrow_key_wrong' })
  })
})

describe('a name that has expired', () => {
  it('is nobody’s for others, and comes back by its key or its paper within a year', async () => {
    const chain = new OwnChain()
    const [secrets, escrow] = [createNameSecrets(), createEscrowKey()]
    const { now, last: lastEntry } = chain
    const made = (identity: string, age: number) =>
      chain.put(makeUid(secrets, { identity, lastEntry, now: now - age, escrow: escrow.secret }))
    made('alice@mute.example', ROLLOVER + 60)
    made('carol@mute.example', ROLLOVER + 60)
    made('dave@mute.example', 2 * ROLLOVER + 60)
    const { names } = (await chain.client()).directory
    const none = { errType: 'party_not_found' }
    expect(await errorOf(names.lookup('alice@mute.example'))).toMatchObject(none)
    const late = names.recover('dave@mute.example', escrow.secret, createNameSecrets())
    expect(await errorOf(late)).toMatchObject(none)
    const fresh = createNameSecrets()
    const back = await names.recover('alice@mute.example', escrow.secret, fresh)
    expect(back.expiresAt.getTime()).toBeGreaterThan(Date.now())
    expect((await names.lookup('alice@mute.example')).signingKey).toBe(back.signingKey)
    await names.renew('carol@mute.example', secrets)
    await names.lookup('carol@mute.example')
  })
})

describe('a backup that is sealed to a name', () => {
  const openedBy = async (sealed: Json, keys: readonly KeyInitSecret[]) => {
    const found = keys.find(({ publicKey }) => publicKey === sealed.recipientKey)
    if (found === undefined) return false
    await openSealedBackup(sealed, found.secret)
    return true
  }

  it('has a key of its own each time, and the one that stands in when there are no more', async () => {
    const { name, secrets } = await somebody()
    const once = await vertex.directory.names.publishKeys(name, secrets, 3)
    const spare = await vertex.directory.names.publishKeys(name, secrets, 1, { fallback: true })
    const used = new Set<string>()
    for (let i = 0; i < 3; i++) {
      const sealed = await vertex.directory.sealBackupTo(`mute:${name}`, key)
      expect(sealed).toMatchObject({ recipient: `mute:${name}`, exportType: 'encrypted' })
      expect(await openedBy(sealed, once)).toBe(true)
      used.add(sealed.recipientKey)
    }
    expect(used.size).toBe(3)
    for (let i = 0; i < 2; i++)
      expect(await openedBy(await vertex.directory.sealBackupTo(`mute:${name}`, key), spare)).toBe(
        true,
      )
  })

  it('is refused where the name wants what is used once, and taken where it allows more', async () => {
    const strict = await somebody('strict')
    await vertex.directory.names.publishKeys(strict.name, strict.secrets, 1, { fallback: true })
    const refused = (name: string) => errorOf(vertex.directory.sealBackupTo(`mute:${name}`, key))
    expect(await refused(strict.name)).toMatchObject({
      errType: 'bad_request_params',
      message: expect.stringContaining('no key left') as string,
    })
    const optional = await somebody('optional')
    const sealed = await vertex.directory.sealBackupTo(`mute:${optional.name}`, key)
    await openSealedBackup(sealed, optional.secrets.encryption)
    const mandatory = await somebody()
    expect(await refused(mandatory.name)).toMatchObject({ errType: 'bad_request_params' })
    expect(await refused('nobody@mute.example')).toMatchObject({ errType: 'party_not_found' })
  })
})

describe('a server that lies about names', () => {
  const invalid = { errType: 'chain_invalid' }
  const lookedUp = async (change: Parameters<typeof lied>[0], name?: string, known?: Json) => {
    const of = name ?? (await somebody()).name
    const liar = await lied(change)
    return errorOf(liar.directory.names.lookup(of, known))
  }

  it('is found when it changes, leaves out or turns round entries', async () => {
    const { name } = await somebody()
    const changes: ((entries: string[]) => string[])[] = [
      (entries) =>
        entries.map((entry, i) =>
          i === 1 ? entry.replace(/^./, (sign) => (sign === 'A' ? 'B' : 'A')) : entry,
        ),
      ([first, , ...rest]) => [first!, ...rest, rest.at(-1)!],
      (entries) => [...entries].reverse(),
      (entries) => entries.map(() => 'AAAA'),
    ]
    for (const change of changes)
      expect(
        await lookedUp(
          (method, result) =>
            method === 'KeyHashchain.FetchHashChain'
              ? { ...result, HCEntries: change(result.HCEntries) }
              : result,
          name,
        ),
      ).toMatchObject(invalid)
    for (const other of [{}, { HCEntries: [], HCFirstPos: 0 }, { HCEntries: 'x', HCFirstPos: 0 }])
      expect(
        await lookedUp(
          (method, result) => (method === 'KeyHashchain.FetchHashChain' ? other : result),
          name,
        ),
      ).toMatchObject({ errType: 'bad_response' })
  })

  it('is found when it hides the end, by whoever has seen it', async () => {
    const { name, secrets } = await somebody()
    const { seen } = await vertex.directory.names.renew(name, secrets)
    const earlier = await lied((method, result) => result)
    const all: string[] = []
    const liar = await lied((method, result) => {
      if (method === 'KeyHashchain.FetchHashChain') all.push(...(result.HCEntries as string[]))
      if (method !== 'KeyHashchain.FetchLastHashChain') return result
      return { HCPos: 0, HCEntry: first }
    })
    const { result } = await (
      await fetch(`${server.url}/`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"jsonrpc":"2.0","id":1,"method":"KeyHashchain.FetchHashChain","params":{"StartPosition":0}}',
      })
    ).json()
    const first = result.HCEntries[0] as string
    // Nobody can tell an older chain from the chain.
    expect(await errorOf(liar.directory.names.lookup(name))).toMatchObject({
      errType: 'party_not_found',
    })
    const cut = await errorOf(liar.directory.names.lookup(name, { known: seen }))
    expect(cut).toBeInstanceOf(IdentityError)
    expect(cut).toMatchObject(invalid)
    // One that has the chain already needs nothing given.
    await earlier.directory.names.lookup(name, { known: seen })
    expect(all).toEqual([first])
  })

  it('is found when it shows another message, or none of its own signatures', async () => {
    const [{ name }, other] = [await somebody(), await somebody()]
    const replies = new Map<string, Json>()
    const recorder = await lied((method, result, params) => {
      if (method === 'KeyRepository.FetchUID') replies.set(params.UIDIndex as string, result)
      return result
    })
    await recorder.directory.names.lookup(other.name)
    const another = [...replies.values()].at(-1)
    expect(
      await lookedUp(
        (method, result) => (method === 'KeyRepository.FetchUID' ? another : result),
        name,
      ),
    ).toMatchObject(invalid)
    for (const change of [
      (reply: Json) => ({ ...reply, SERVERSIGNATURE: another.UIDMessageReply.SERVERSIGNATURE }),
      (reply: Json) => ({ ...reply, ENTRY: { ...reply.ENTRY, UIDMESSAGEENCRYPTED: 'AAAA' } }),
      () => undefined,
    ])
      expect(
        await lookedUp(
          (method, result) =>
            method === 'KeyRepository.FetchUID' && result.UIDMessageReply.ENTRY.HASHCHAINPOS > 0
              ? { UIDMessageReply: change(result.UIDMessageReply) }
              : result,
          name,
        ),
      ).toMatchObject(invalid)
  })

  it('is found when it shows a message on another chain than its owner saw', async () => {
    const [one, other] = [new OwnChain(), new OwnChain()]
    const { now, last: lastEntry } = one
    const secrets = createNameSecrets()
    const message = makeUid(secrets, { identity: 'alice@mute.example', lastEntry, now })
    for (const chain of [one, other]) chain.put(message)
    const lookedUpOn = async (chain: OwnChain) =>
      errorOf((await chain.client()).directory.names.lookup('alice@mute.example'))
    expect(await lookedUpOn(one)).toBeUndefined()
    expect(await lookedUpOn(other)).toMatchObject(invalid)
  })

  it('is found when it puts a message on no chain', async () => {
    const name = newName()
    const liar = await lied(
      (_, result) => result,
      (input, init) =>
        (init.body as string | undefined)?.includes('CreateUID') === true
          ? Promise.resolve(new Response('{"jsonrpc":"2.0","result":{},"id":1}'))
          : fetch(input, init),
    )
    const made = liar.directory.names.register(name, createNameSecrets())
    expect(await errorOf(made)).toMatchObject(invalid)
  })

  it('is found when it seals to a key that is not the name’s', async () => {
    const { name, secrets } = await somebody()
    const thief = newUidSecrets()
    const now = Math.floor(Date.now() / 1000)
    const lie = (keyInit: (real: string) => string | null | undefined) => async () => {
      await vertex.directory.names.publishKeys(name, secrets, 1)
      const lying: Fetch = async (input, init) => {
        const response = await fetch(input, init)
        if (!input.includes('recipient=')) return response
        const body = await response.json()
        body.recipient.key_init = keyInit(body.recipient.key_init as string)
        return new Response(JSON.stringify(body), { status: response.status })
      }
      const client = await harness.client(server, { store, apiKey, fetch: lying })
      return errorOf(
        client.directory.sealBackupTo(`mute:${name}`, await client.ecdsa.openKey(key.id)),
      )
    }
    const ofThief = makeKeyInit(thief.sigKey, { repoUri: 'mute.example', now })
    const another = makeKeyInit(secrets.sigKey, { repoUri: 'mute.example', now })
    const lies = [
      lie(() => JSON.stringify(ofThief.keyInit)),
      // Signed by the name, and of another key than the backup names.
      lie(() => JSON.stringify(another.keyInit)),
      lie((real) => real.replace(/(?<="SIGNATURE":")./, (sign) => (sign === 'A' ? 'B' : 'A'))),
      lie(() => 'x'),
      lie(() => null),
      lie(() => undefined),
    ]
    for (const each of lies) {
      const error = await each()
      expect(error).toBeInstanceOf(IdentityError)
      expect(error).toMatchObject({ errType: 'identity_mismatch' })
    }
  })

  it('is told from one that has too much to do, or has no keyserver', async () => {
    const answering = async (status: number, text: string) => {
      const other: Fetch = () =>
        Promise.resolve(new Response(text, { status, headers: { 'Retry-After': '7' } }))
      const client = await harness.client(server, { store, apiKey, fetch: other })
      return errorOf(client.directory.names.lookup('alice@mute.example'))
    }
    const error = (code: number) => JSON.stringify({ error: { code, message: 'x' } })
    const busy = await answering(429, error(-32004))
    expect(busy).toBeInstanceOf(UnavailableError)
    expect(busy).toMatchObject({ errType: 'rate_limited', retryAfter: 7 })
    expect(await answering(503, error(-32005))).toBeInstanceOf(UnavailableError)
    expect(await answering(200, error(-32003))).toMatchObject({ errType: 'payment_needed' })
    expect(await answering(404, '{"err_type":"not_found"}')).toMatchObject({
      errType: 'bad_response',
    })
    expect(await answering(200, '<html>')).toMatchObject({ errType: 'bad_response' })
  })
})
