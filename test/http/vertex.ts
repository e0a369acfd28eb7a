import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nativeSuite } from '@vertex/mpc/native'
import { expect } from 'vitest'
import { compose, createLogger, type Service } from '../../src/compose/index.js'
import { readConfig } from '../../src/config.js'
import { localEngine, type Engine } from '../../src/vault/index.js'
import { complaints } from './contract-checker.js'

export const adminToken = 'an-admin-token-for-tests'

export interface CallOptions {
  /** Raw Authorization value. */
  readonly key?: string | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string | Uint8Array | undefined
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // What an answer holds is what the tests are about, so they look into it freely.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any
}

export type Call = (method: string, path: string, options?: CallOptions) => Promise<Answer>

/** Asks a server; every answer is held against the contract before anyone looks at it. */
export function caller(url: string): Call {
  return async (method, path, { key, body, raw, headers = {} } = {}) => {
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(key === undefined ? {} : { Authorization: key }),
        ...(sent === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent as string }),
    })
    const text = await response.text()
    const type = response.headers.get('content-type')
    const parsed: unknown =
      type?.startsWith('application/json') === true && text !== '' ? JSON.parse(text) : text
    if (method !== 'HEAD' && method !== 'OPTIONS')
      expect(complaints(method, path, { status: response.status, type, body: parsed })).toEqual([])
    if (response.status === 429 || response.status === 503)
      expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    return { status: response.status, headers: response.headers, body: parsed }
  }
}

export interface TestVertex {
  readonly service: Service
  readonly url: string
  readonly port: number
  readonly metricsUrl: string | undefined
  readonly dir: string
  /** Lines of its log. */
  readonly log: string[]
  readonly call: Call
  /** Asks with the admin token. */
  readonly admin: Call
  /** Makes a user; answers its id and key. */
  readonly user: (name?: string) => Promise<{ userId: string; key: string }>
  readonly stop: () => Promise<void>
}

/** A whole server in this process, on an ephemeral port, with an embedded database of its own. */
export async function startVertex(
  settings: Record<string, string> = {},
  engine: Engine = localEngine(nativeSuite()),
): Promise<TestVertex> {
  const dir = mkdtempSync(join(tmpdir(), 'vertex-http-'))
  const secret = (name: string) => {
    writeFileSync(join(dir, name), randomBytes(32).toString('base64'), { mode: 0o600 })
    return join(dir, name)
  }
  const plaintext = settings['VERTEX_BACKUP_MODE'] === 'plaintext'
  const config = readConfig({
    PORT: '0',
    VERTEX_DATA_DIR: join(dir, 'data'),
    VERTEX_ADMIN_TOKEN: adminToken,
    ...(plaintext ? {} : { VERTEX_BACKUP_SECRET_FILE: secret('backup-secret') }),
    VERTEX_STORAGE_KEY_FILE: secret('storage-key'),
    ...settings,
  })
  const log: string[] = []
  const service = await compose(
    config,
    createLogger('info', { write: (line) => log.push(line) }),
    engine,
  )
  const { url, port, metricsUrl } = await service.listen()
  const call = caller(url)
  const admin: Call = (method, path, options) => call(method, path, { key: adminToken, ...options })
  return {
    service,
    url,
    port,
    metricsUrl,
    dir,
    log,
    call,
    admin,
    user: async (name = `user ${randomBytes(6).toString('hex')}`) => {
      const { status, body } = await admin('POST', '/admin/create-user', { body: { name } })
      expect(status).toBe(200)
      return { userId: body.user_id as string, key: body.api_key as string }
    },
    stop: async () => {
      await service.stop()
      // Whatever a test does, nothing is logged that the list of fields does not know.
      expect(log.filter((line) => 'dropped' in JSON.parse(line))).toEqual([])
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Two Vertices of one operator; the second may use the first one's relay. */
export async function startPair(): Promise<[TestVertex, TestVertex]> {
  const first = await startVertex()
  const second = await startVertex({ VERTEX_RELAY_ALLOW: `127.0.0.1:${first.port}` })
  return [first, second]
}

/** One party of a key: a user at a Vertex. */
export interface Party {
  readonly vertex: TestVertex
  readonly key: string
  readonly keyId: string
  readonly keygenId: string
  /** What makes this Vertex use the common relay. */
  readonly relay: { relay_address?: string }
}

/** Makes a 2-of-2 key between two Vertices through their REST routes. */
export async function makeKey([first, second]: [TestVertex, TestVertex]): Promise<{
  parties: [Party, Party]
  pubkey: string
  chainCode: string
}> {
  const party = async (vertex: TestVertex, relay: Party['relay']): Promise<Party> => {
    const { key } = await vertex.user()
    const { body } = await vertex.call('GET', '/ecdsa/create', { key })
    return { vertex, key, keyId: body.key_id as string, keygenId: body.keygen_id as string, relay }
  }
  const parties: [Party, Party] = [
    await party(first, {}),
    await party(second, { relay_address: `127.0.0.1:${first.port}` }),
  ]
  const room_uuid = await openRoom(parties[0])
  const answers = await Promise.all(
    parties.map((each) =>
      each.vertex.call('POST', '/ecdsa/keygen', {
        key: each.key,
        body: {
          key_id: each.keyId,
          room_uuid,
          num_parties: 2,
          threshold: 2,
          others_keygen_ids: parties
            .filter((other) => other !== each)
            .map((other) => other.keygenId),
          ...each.relay,
        },
      }),
    ),
  )
  for (const { status, body } of answers) expect([status, body]).toEqual([200, expect.anything()])
  const [a, b] = answers
  expect(a?.body.pubkey).toBe(b?.body.pubkey)
  expect(a?.body.chain_code).toBe(b?.body.chain_code)
  return { parties, pubkey: a?.body.pubkey as string, chainCode: a?.body.chain_code as string }
}

export async function openRoom({ vertex, key }: Pick<Party, 'vertex' | 'key'>): Promise<string> {
  const { body } = await vertex.call('POST', '/create-room', { key, body: { room_size: 2 } })
  return body.room_uuid as string
}

/** Lets both parties sign; answers what each of them said. */
export async function signBoth(
  parties: readonly [Party, Party],
  request: { msg: string; hash_algo: string; derivation_path?: number[] },
): Promise<[Answer, Answer]> {
  const room_uuid = await openRoom(parties[0])
  const ask = (party: Party) =>
    party.vertex.call('POST', '/ecdsa/sign', {
      key: party.key,
      body: { key_id: party.keyId, room_uuid, ...request, ...party.relay },
    })
  return Promise.all([ask(parties[0]), ask(parties[1])])
}
