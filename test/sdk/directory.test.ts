import { randomBytes } from 'node:crypto'
import { sealBackup } from '@vertex/directory/sealed'
import { signEvent } from '@vertex/directory/sigchain'
import {
  BackupError,
  createRecipientKey,
  IdentityError,
  MemoryShareStore,
  openSealedBackup,
  primaryOfIdentity,
  RequestError,
  UnavailableError,
  VertexError,
  type EcdsaKey,
  type Fetch,
  type Signer,
  type Vertex,
} from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { wipeData, type TestServer } from '../support/server.js'
import { Harness, hex, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
let server: TestServer
let apiKey: string
let store: MemoryShareStore
let vertex: Vertex
let key: EcdsaKey

beforeAll(async () => {
  // All parties of this file come from one address.
  server = await harness.server('one', {
    settings: { VERTEX_PUBLIC_HOST: 'A.example', VERTEX_RATE_DIRECTORY_WRITES: '1000' },
  })
  apiKey = await server.createUser('somebody')
  store = new MemoryShareStore()
  vertex = await harness.client(server, { store, apiKey })
  key = await vertex.ecdsa.createKey()
})
afterAll(() => harness.end())

const somebody = (): Signer => ({ scheme: 'ed25519', secret: new Uint8Array(randomBytes(32)) })
const keygenSubject = () => `keygen:01${hex(randomBytes(31))}00`

const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error as VertexError,
  )

/** A client to which the server, or whoever is in between, tells something else. */
async function lied(change: (path: string, text: string, status: number) => string | Response) {
  const lying: Fetch = async (input, init) => {
    const response = await fetch(input, init)
    const text = await response.text()
    const told = change(input.slice(server.url.length), text, response.status)
    return typeof told === 'string' ? new Response(told, response) : told
  }
  return harness.client(server, { store, apiKey, fetch: lying })
}

/** A party with a recipient key on its chain. */
async function recipient() {
  const identity = somebody()
  const { secret, subject } = createRecipientKey()
  const party = await vertex.directory.publishIdentity(identity, { add: [subject] })
  return { identity, secret, subject, party }
}

describe('an identity', () => {
  it('is published, found, changed, and published no second time', async () => {
    const identity = somebody()
    const [a, b] = [keygenSubject(), keygenSubject()]
    const first = await vertex.directory.publishIdentity(identity, { add: [a, 'dns:a.example'] })
    expect(first).toMatchObject({
      primary: primaryOfIdentity(identity),
      head: { seq: 1 },
      live: [a, 'dns:a.example'],
      keygenIds: [a.slice('keygen:'.length)],
      recipientKeys: [],
    })
    expect(await vertex.directory.publishIdentity(identity, { add: [a] })).toEqual(first)
    const changed = await vertex.directory.publishIdentity(identity, {
      add: [b],
      revoke: [a, 'never:said'],
      known: first.head,
    })
    expect(changed).toMatchObject({ head: { seq: 3 }, live: ['dns:a.example', b] })
    expect(await vertex.directory.lookup(first.primary, { known: first.head })).toEqual(changed)
  })

  it('is published once by two who have it', async () => {
    const identity = somebody()
    const subjects = [keygenSubject(), keygenSubject()]
    const both = await Promise.all(
      subjects.map((subject) => vertex.directory.publishIdentity(identity, { add: [subject] })),
    )
    expect(Math.max(...both.map(({ head }) => head.seq))).toBe(1)
    const found = await vertex.directory.lookup(primaryOfIdentity(identity))
    expect([...found.live].sort()).toEqual([...subjects].sort())
  })

  it('is refused where it says nothing, or what nobody would find', async () => {
    for (const add of [[], ['keygen:ABC'], ['recipient:00'], ['nothing'], [':x']])
      expect(await errorOf(vertex.directory.publishIdentity(somebody(), { add }))).toBeInstanceOf(
        RequestError,
      )
  })

  it('of nobody is not found, and what is no primary is not asked for', async () => {
    const unknown = await errorOf(vertex.directory.lookup(primaryOfIdentity(somebody())))
    expect(unknown).toMatchObject({ errType: 'party_not_found' })
    expect(await errorOf(vertex.directory.lookup('ed25519:AB'))).toBeInstanceOf(RequestError)
  })
})

describe('a long chain', () => {
  const me = somebody()
  const lines: string[] = []
  const live: string[] = []
  beforeAll(() => {
    let head: Parameters<typeof signEvent>[1]
    for (let i = 0; i < 400; i++) {
      live.push(`dns:${i}.example`)
      const said = { op: 'add', subject: live[i]!, createdAt: '2026-01-01T00:00:00Z' } as const
      const { bytes, event } = signEvent(me, head, said)
      lines.push(new TextDecoder().decode(bytes))
      head = event
    }
  })
  const text = () => lines.map((line) => `${line}\n`).join('')
  /** How often others had their turn since the chain was there. */
  async function shown() {
    const turns = { count: 0 }
    const client = await lied((path) => {
      if (!path.startsWith('/v1/sigchains/')) return '{}'
      turns.count = 0
      return new Response(text())
    })
    const beat = setInterval(() => turns.count++, 1)
    return { client, turns, end: () => clearInterval(beat) }
  }

  it('is checked while the rest of the app has its turn', async () => {
    const { client, turns, end } = await shown()
    const party = await client.directory.lookup(primaryOfIdentity(me))
    end()
    expect(party.live).toEqual(live)
    expect(turns.count).toBeGreaterThan(5)
  })

  it('is not checked to its end for a call that was given up', async () => {
    const { client, turns, end } = await shown()
    const giveUp = new AbortController()
    const checked = vi.spyOn(JSON, 'parse')
    const looking = errorOf(
      client.directory.lookup(primaryOfIdentity(me), { signal: giveUp.signal }),
    )
    const begun = () => checked.mock.calls.length > 0 && turns.count > 0
    await vi.waitUntil(begun, { interval: 1, timeout: 60_000 })
    giveUp.abort(new Error('enough'))
    expect(await looking).toMatchObject({ message: 'enough' })
    const [parsed, turn] = [checked.mock.calls.length, turns.count]
    await vi.waitUntil(() => turns.count > turn + 20, { timeout: 60_000 })
    end()
    expect(checked.mock.calls.length).toBe(parsed)
    expect(parsed).toBeLessThan(lines.length)
    checked.mockRestore()
  })
})

describe('a server that lies about a chain', () => {
  const lookedUp = async (
    change: (lines: string[]) => string[],
    options: Parameters<Vertex['directory']['lookup']>[1] = {},
  ) => {
    const identity = somebody()
    const { primary } = await vertex.directory.publishIdentity(identity, {
      add: [keygenSubject(), keygenSubject(), keygenSubject()],
    })
    const liar = await lied((path, text) =>
      path.startsWith('/v1/sigchains/') ? change(text.split('\n').slice(0, -1)).join('\n') : text,
    )
    return errorOf(liar.directory.lookup(primary, options))
  }
  const invalid = { errType: 'chain_invalid' }

  it('is found when it changes what was signed', async () => {
    const other = keygenSubject()
    expect(
      await lookedUp((lines) => lines.map((line) => line.replace(/keygen:\w+/, other))),
    ).toMatchObject(invalid)
  })

  it('is found when it leaves out an event, turns them round, or says one twice', async () => {
    expect(await lookedUp(([a, , c]) => [a!, c!])).toMatchObject(invalid)
    expect(await lookedUp(([, b, c]) => [b!, c!])).toMatchObject(invalid)
    expect(await lookedUp((lines) => lines.reverse())).toMatchObject(invalid)
    expect(await lookedUp(([a, ...rest]) => [a!, a!, ...rest])).toMatchObject(invalid)
  })

  it('is found when it shows a chain of somebody else, or goes on with one of its own', async () => {
    const thief = somebody()
    const made = signEvent(thief, undefined, {
      op: 'add',
      subject: keygenSubject(),
      createdAt: '2026-01-01T00:00:00Z',
    })
    const foreign = new TextDecoder().decode(made.bytes)
    expect(await lookedUp(() => [foreign])).toMatchObject(invalid)
    const forged = (lines: string[]) => {
      const last = JSON.parse(lines.at(-1)!) as { payload: { seq: number; op: string } }
      last.payload.seq++
      last.payload.op = 'revoke'
      return [...lines, JSON.stringify(last)]
    }
    expect(await lookedUp(forged)).toMatchObject(invalid)
  })

  it('is found when it shows what is no chain at all, or too much of one', async () => {
    expect(await lookedUp(() => ['<html>'])).toMatchObject(invalid)
    expect(await lookedUp(() => Array<string>(1_001).fill('{}'))).toMatchObject({
      ...invalid,
      message: expect.stringContaining('1000') as string,
    })
  })

  it('is found when it shows more than the SDK reads', async () => {
    expect(await lookedUp((lines) => [...lines, 'x'.repeat(4 * 1024 * 1024)])).toMatchObject({
      errType: 'bad_response',
      message: expect.stringContaining('too long') as string,
    })
  })

  it('is found when it hides the end, by whoever has seen it', async () => {
    const identity = somebody()
    const subject = keygenSubject()
    await vertex.directory.publishIdentity(identity, { add: [subject] })
    const { primary, head } = await vertex.directory.publishIdentity(identity, {
      revoke: [subject],
    })
    const liar = await lied((path, text) =>
      path.startsWith('/v1/sigchains/') ? text.split('\n')[0]! : text,
    )
    // Nobody can tell an older chain from the chain.
    expect((await liar.directory.lookup(primary)).live).toEqual([subject])
    for (const cut of [
      liar.directory.lookup(primary, { known: head }),
      liar.directory.publishIdentity(identity, { add: [subject], known: head }),
      liar.directory.sealBackupTo(primary, key, { known: head }),
    ]) {
      const error = await errorOf(cut)
      expect(error).toBeInstanceOf(IdentityError)
      expect(error).toMatchObject({
        ...invalid,
        message: expect.stringContaining('cut short') as string,
      })
    }
  })

  it('is found when it takes no event, or says that it is out of order', async () => {
    const fetchOther: Fetch = (input, init) =>
      input.endsWith('/events')
        ? Promise.resolve(new Response('{}', { status: 409 }))
        : fetch(input, init)
    const conflict = await harness.client(server, { store, apiKey, fetch: fetchOther })
    const add = [keygenSubject()]
    expect(await errorOf(conflict.directory.publishIdentity(somebody(), { add }))).toMatchObject(
      invalid,
    )
    const busy = await lied(
      () => new Response('{}', { status: 429, headers: { 'Retry-After': '7' } }),
    )
    const error = await errorOf(busy.directory.lookup(primaryOfIdentity(somebody())))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ errType: 'rate_limited', retryAfter: 7 })
    const broken = await lied(() => new Response('oh', { status: 500 }))
    expect(await errorOf(broken.directory.lookup(primaryOfIdentity(somebody())))).toBeInstanceOf(
      UnavailableError,
    )
  })
})

describe('a backup that is sealed to a party', () => {
  it('is opened with its key, imported, and signs', async () => {
    const { secret, party } = await recipient()
    const sealed = await vertex.directory.sealBackupTo(party.primary, key)
    expect(sealed).toMatchObject({
      exportType: 'encrypted',
      recipient: party.primary,
      recipientKey: party.recipientKeys[0],
    })
    const backup = await openSealedBackup(sealed, secret)
    expect(await key.verifyBackup({ backup })).toMatchObject({ publicKey: hex(key.publicKey) })
    const imported = await vertex.ecdsa.importBackup(backup)
    const message = utf8('once more')
    const { der } = await imported.key!.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
  })

  it('is opened by nobody else', async () => {
    const { party, secret } = await recipient()
    const sealed = await vertex.directory.sealBackupTo(party.primary, key)
    const { secret: another } = createRecipientKey()
    expect(await errorOf(openSealedBackup(sealed, another))).toBeInstanceOf(BackupError)
    const changed = { ...sealed, keyShare: sealed.keyShare.replace(/.{8}$/, 'AAAAAAA=') }
    expect(await errorOf(openSealedBackup(changed, secret))).toBeInstanceOf(BackupError)
  })

  it('is not made for a party without a live key', async () => {
    const { identity, subject, party } = await recipient()
    await vertex.directory.publishIdentity(identity, { revoke: [subject] })
    expect(await errorOf(vertex.directory.sealBackupTo(party.primary, key))).toMatchObject({
      errType: 'party_not_found',
    })
  })

  describe('is refused when the Vertex', () => {
    /** @param cheat what it gives in the place of the sealed backup */
    const sealedBy = async (cheat: (honest: string) => string | Promise<string>) => {
      const { party } = await recipient()
      const cheating: Fetch = async (input, init) => {
        const response = await fetch(input, init)
        if (!input.includes('?recipient=')) return response
        const answer = (await response.json()) as { key_share: string }
        return Response.json({ ...answer, key_share: await cheat(answer.key_share) })
      }
      const client = await harness.client(server, { store, apiKey, fetch: cheating })
      return errorOf(
        client.directory.sealBackupTo(party.primary, await client.ecdsa.openKey(key.id)),
      )
    }

    it('seals to another key, or for another party', async () => {
      const { key_share } = await vertex.rest.exportKeyShare({ key_id: key.keyId })
      const thief = await recipient()
      const to = {
        recipient: thief.party.primary,
        recipientKey: new Uint8Array(Buffer.from(thief.party.recipientKeys[0]!, 'hex')),
        exportedAt: 1,
      }
      expect(await sealedBy(() => sealBackup(key_share, to))).toBeInstanceOf(IdentityError)
      const { party } = await recipient()
      const claims = { ...to, recipient: party.primary }
      const cheating: Fetch = async (input, init) => {
        const response = await fetch(input, init)
        if (!input.includes('?recipient=')) return response
        const answer = (await response.json()) as object
        return Response.json({ ...answer, key_share: await sealBackup(key_share, claims) })
      }
      const client = await harness.client(server, { store, apiKey, fetch: cheating })
      const opened = await client.ecdsa.openKey(key.id)
      expect(await errorOf(client.directory.sealBackupTo(party.primary, opened))).toBeInstanceOf(
        IdentityError,
      )
    })

    it('does not seal at all', async () => {
      const { key_share } = await vertex.rest.exportKeyShare({ key_id: key.keyId })
      expect(await sealedBy(() => key_share)).toBeInstanceOf(BackupError)
    })

    it('gives the backup of another key', async () => {
      const other = await vertex.ecdsa.createKey()
      const { party } = await recipient()
      const { keyId } = await vertex.ecdsa.openKey(key.id)
      const swapping: Fetch = (input, init) =>
        fetch(input.includes('?recipient=') ? input.replace(keyId, other.keyId) : input, init)
      const client = await harness.client(server, { store, apiKey, fetch: swapping })
      const opened = await client.ecdsa.openKey(key.id)
      expect(await errorOf(client.directory.sealBackupTo(party.primary, opened))).toBeInstanceOf(
        BackupError,
      )
    })

    it('calls it plaintext', async () => {
      const { party } = await recipient()
      const cheating: Fetch = async (input, init) => {
        const response = await fetch(input, init)
        if (!input.includes('?recipient=')) return response
        return Response.json({ ...((await response.json()) as object), export_type: 'plaintext' })
      }
      const client = await harness.client(server, { store, apiKey, fetch: cheating })
      const opened = await client.ecdsa.openKey(key.id)
      expect(await errorOf(client.directory.sealBackupTo(party.primary, opened))).toBeInstanceOf(
        IdentityError,
      )
    })
  })
})

describe('without any of this', () => {
  it('an export has the two members it always had, and a keygen asks nobody', async () => {
    const { key_id } = await vertex.rest.createKey()
    const backup = await vertex.rest.exportKeyShare({ key_id: key.keyId })
    expect(Object.keys(backup)).toEqual(['export_type', 'key_share'])
    expect(Buffer.from(backup.key_share, 'base64').subarray(0, 6).toString()).toBe('VTXBKP')
    expect(await vertex.rest.verifyKeyShare(backup)).toMatchObject({ pubkey: hex(key.publicKey) })
    await vertex.rest.deleteKeyShare({ key_id })
  })
})

describe('a Vertex', () => {
  it('has a chain that says who it is, the same after a start and after the loss of everything', async () => {
    const folder = 'two'
    const settings = { VERTEX_PUBLIC_HOST: 'b.example:8443' }
    let two = await harness.server(folder, { settings })
    const look = async () => {
      const client = await harness.client(two)
      const said = await client.rest.directoryIdentity()
      expect(await client.rest.persistentKeygenId()).toEqual({ keygen_id: said.keygen_id })
      return { said, party: await client.directory.lookup(said.primary) }
    }
    const { said, party } = await look()
    expect(said).toEqual({
      primary: expect.stringMatching(/^ed25519:[0-9a-f]{64}$/) as string,
      keygen_id: expect.stringMatching(/^02[0-9a-f]{64}$/) as string,
      host: 'b.example:8443',
    })
    expect(party).toMatchObject({
      head: { seq: 1 },
      live: [`keygen:${said.keygen_id}`, 'vertex:b.example:8443'],
      keygenIds: [said.keygen_id],
      vertices: ['b.example:8443'],
      successors: [],
    })
    const again = async (more: Record<string, string> = settings, lost = false) => {
      await two.stop()
      if (lost) wipeData(two.folder)
      two = await harness.server(folder, { port: two.port, settings: more })
      return look()
    }
    expect(await again()).toEqual({ said, party })
    expect(await again(settings, true)).toEqual({ said, party })
    const moved = await again({ VERTEX_PUBLIC_HOST: 'c.example' })
    expect(moved.party.vertices).toEqual(['c.example'])
    expect(moved.party.head.seq).toBe(3)
    const gone = await again({})
    expect(gone.said.host).toBeNull()
    expect(gone.party.live).toEqual([`keygen:${said.keygen_id}`])
  })

  it('publishes nothing without the directory', async () => {
    const off = await harness.server('three', { settings: { VERTEX_DIRECTORY: 'off' } })
    const client = await harness.client(off)
    const { primary } = await client.rest.directoryIdentity()
    const [scheme, id] = primary.split(':')
    expect((await fetch(`${off.url}/v1/sigchains/${scheme!}/${id!}`)).status).toBe(404)
    await off.stop()
    const on = await harness.server('three', { port: off.port })
    expect((await client.directory.lookup(primary)).head.seq).toBe(0)
    await on.stop()
  })
})
