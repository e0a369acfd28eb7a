import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { MemoryShareStore, RollbackDetectedError, type EcdsaKey, type Fetch } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { vertexCommand, vertexHere } from '../support/command.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { wipeData, type TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// A server is lost and made again from its bundle, beside clients that have keys, locks and revoked API keys there.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const message = utf8('after the disaster')
const bundle = join(harness.folder, 'vault.bundle')
const lostData = join(harness.folder, 'lost-data')
let server: TestServer
let postgres: TestPostgres | undefined

class Party {
  readonly store = new MemoryShareStore()
  readonly events: string[] = []
  imports = 0
  constructor(
    readonly apiKey: string,
    readonly key: EcdsaKey,
  ) {}

  static async make(): Promise<Party> {
    const apiKey = await server.createUser(`party ${Math.random()}`)
    const counting: Fetch = (input, init) => {
      if (new URL(input).pathname.endsWith('/import-key-share')) party.imports++
      return fetch(input, init)
    }
    const vertex = await harness.client(server, { apiKey, fetch: counting })
    const party: Party = new Party(apiKey, await vertex.ecdsa.createKey())
    for (const name of ['recovered', 'rollback-detected'] as const)
      vertex.on(name, () => party.events.push(name))
    return party
  }

  async signs(): Promise<void> {
    const { der } = await this.key.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(this.key.publicKey, message, der)).toBe(true)
  }

  fails(): Promise<unknown> {
    return this.key.sign({ message, hashAlgo: 'sha256' }).catch((error: unknown) => error)
  }
}

async function admin(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: server.adminToken, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}
const statusOf = async (apiKey: string) =>
  (await fetch(`${server.url}/ecdsa/keys`, { headers: { authorization: apiKey } })).status
const revoke = async ({ userId, apiKey }: { userId: string; apiKey: string }) => {
  const body = { user_id: userId, api_key: apiKey }
  const { status } = await admin('DELETE', '/admin/revoke-api-key', body)
  expect(status).toBe(200)
}
const adminSetting = { VERTEX_ADMIN_TOKEN: 'test-admin-token-0123456789abcdef' }

let before: Party
let locked: Party
let since: Party
let revokedBefore: { userId: string; apiKey: string }
let revokedSince: { userId: string; apiKey: string }
let deleted: { userId: string; apiKey: string }
const generations: string[] = []

const restored = async (words: readonly string[], folder = server.folder, settings = {}) => {
  const { status, stdout, stderr } = await vertexHere(['--json', 'restore', ...words], {
    folder,
    settings,
  })
  expect({ status, stderr: stderr.replace(/^\{"level".*\n/m, '') }).toEqual({
    status: 0,
    stderr: '',
  })
  const result = JSON.parse(stdout) as { generation: string; way: string }
  generations.push(result.generation)
  return result
}
const again = async (settings = {}) => {
  server = await harness.server('vertex', { port: server.port, settings })
}
/** The machine is gone, and with it the storage key; the backup secret comes from where it is kept. */
const newMachine = () => {
  rmSync(join(server.folder, 'data'), { recursive: true, force: true })
  rmSync(join(server.folder, 'vertex-secret/storage-key'))
}

beforeAll(async () => {
  server = await harness.server('vertex')
  before = await Party.make()
  locked = await Party.make()
  await before.signs()
  await locked.signs()
  revokedBefore = await server.makeUser({ name: 'revoked before' })
  await revoke(revokedBefore)
  deleted = await server.makeUser({ name: 'deleted' })
  expect((await admin('DELETE', '/admin/delete-user', { user_id: deleted.userId })).status).toBe(
    200,
  )
  revokedSince = await server.makeUser({ name: 'revoked since' })
  // Five failed checks, as a cheating client would have left them.
  const { shareId } = sqlite(`SELECT share_id AS shareId FROM key_handles WHERE key_id = ?`, [
    locked.key.keyId,
  ]) as { shareId: string }
  for (let i = 0; i < 5; i++)
    for (const peer of [1, 2])
      sqlite(`INSERT INTO crypto_failures VALUES (?, ?, ?, ?) RETURNING peer`, [
        `failure-${i}-${peer}`,
        shareId,
        peer,
        Date.now(),
      ])
  expect(await locked.fails()).toMatchObject({ errType: 'key_locked' })

  // Beside the server, which goes on signing and making keys.
  const signing = Promise.all([before.signs(), before.signs(), before.signs()])
  const made = vertexCommand(['backup', 'bundle', bundle, '--json'], { folder: server.folder })
  expect(made).toMatchObject({ status: 0, stderr: '' })
  await signing
  const info = JSON.parse(made.stdout) as { generation: string; rows: Record<string, number> }
  generations.push(info.generation)
  expect(info.rows).toMatchObject({ shares: 2, users: 4, crypto_failures: 10 })

  since = await Party.make()
  await since.signs()
  await revoke(revokedSince)
  await server.kill()
  cpSync(join(server.folder, 'data'), lostData, { recursive: true })
  cpSync(join(server.folder, 'vertex-secret/storage-key'), join(lostData, 'storage-key'))
})
afterAll(async () => {
  await harness.end()
  await postgres?.stop()
})

function sqlite(statement: string, values: readonly unknown[]): unknown {
  const database = new BetterSqlite3(join(server.folder, 'data/vertex.db'))
  try {
    return database.prepare(statement).get(...values)
  } finally {
    database.close()
  }
}

describe('a vault that is made again from its bundle', () => {
  it('is planned without a trace, and the plan says what the restore then does', async () => {
    newMachine()
    const plan = await vertexHere(['restore', bundle, '--plan'], { folder: server.folder })
    expect(plan.status).toBe(0)
    expect(plan.stdout).toContain('users: 4, api_keys: 3, tombstones: 4, shares: 2')
    expect(readdirSync(server.folder)).toEqual(['vertex-secret'])
    expect(readdirSync(join(server.folder, 'vertex-secret'))).toEqual(['backup-secret'])

    const done = await vertexHere(['restore', bundle], { folder: server.folder })
    expect(done.status).toBe(0)
    // On a busy machine there is progress between them.
    const told = (text: string) => text.split('\n').filter((line) => /^(?:Bundle|- )/.test(line))
    expect(told(plan.stdout).length).toBeGreaterThan(4)
    expect(told(done.stderr)).toEqual(told(plan.stdout))
    const generation = /[0-9a-f]{32}/.exec(done.stdout)![0]
    expect(generations).not.toContain(generation)
    generations.push(generation)
    expect(existsSync(join(server.folder, 'vertex-secret/storage-key'))).toBe(true)
  })

  it('is not restored twice, and nothing is merged', async () => {
    const twice = await vertexHere(['--json', 'restore', bundle], { folder: server.folder })
    expect(twice).toMatchObject({ status: 1, stdout: '' })
    expect(JSON.parse(twice.stderr)).toMatchObject({ error: { code: 'database_not_empty' } })
    const plan = await vertexHere(['restore', bundle, '--plan'], { folder: server.folder })
    expect(plan).toMatchObject({ status: 1 })
    expect(plan.stdout).toContain('Refused')
  })

  it('signs on for its clients, who notice nothing', async () => {
    await again()
    await Promise.all([before.signs(), before.signs()])
    await before.signs()
    expect(before.imports).toBe(0)
    expect(before.events).toEqual([])
  })

  it('gets the keys made since the bundle back from their clients', async () => {
    const { keyId } = since.key
    await since.signs()
    expect(since.key.keyId).not.toBe(keyId)
    expect([since.imports, since.events]).toEqual([1, ['recovered']])
    await since.signs()
    expect(since.imports).toBe(1)
  })

  it('holds what was revoked, deleted and locked before the bundle, and nothing later', async () => {
    expect(await statusOf(revokedBefore.apiKey)).toBe(401)
    expect(await statusOf(deleted.apiKey)).toBe(401)
    expect(await locked.fails()).toMatchObject({ errType: 'key_locked' })
    expect(await statusOf(revokedSince.apiKey)).toBe(200)
    await server.stop()
    await again({ VERTEX_API_KEYS_NOT_BEFORE: new Date().toISOString() })
    expect(await statusOf(revokedSince.apiKey)).toBe(401)
  })

  it('says in its audit log what it came from', async () => {
    await server.stop()
    const { line } = sqlite(
      `SELECT line FROM audit_records WHERE line LIKE '%"action":"restore"%'`,
      [],
    ) as { line: string }
    const record = JSON.parse(line) as { values: [string, string][]; generation: string }
    const plan = await vertexHere(['--json', 'restore', bundle, '--plan'], {
      folder: server.folder,
    })
    const { sha256, audit_head } = JSON.parse(plan.stdout).bundle as {
      sha256: string
      audit_head: { hash: string }
    }
    expect(record.values).toEqual([
      ['bundle', sha256],
      ['audit_head', audit_head.hash],
    ])
    expect(record.generation).toBe(generations.at(-1))
  })
})

describe('the database that had been lost, put in the place of the restored one', () => {
  it('is found out by a client that has seen the restored one', async () => {
    wipeData(server.folder)
    cpSync(lostData, join(server.folder, 'data'), { recursive: true })
    renameSync(
      join(server.folder, 'data/storage-key'),
      join(server.folder, 'vertex-secret/storage-key'),
    )
    await again()
    const error = await since.fails()
    expect(error).toBeInstanceOf(RollbackDetectedError)
    expect(error).toMatchObject({ reason: 'generation_returned' })
    expect(since.imports).toBe(1)
  })

  it('is signed with again once its operator has said so, in place', async () => {
    const running = await vertexHere(['--json', 'restore', '--in-place'], { folder: server.folder })
    expect(JSON.parse(running.stderr)).toMatchObject({ error: { code: 'database_in_use' } })
    expect(running.status).toBe(1)
    await server.stop()
    const plan = await vertexHere(['restore', '--in-place', '--plan'], { folder: server.folder })
    expect(plan.stdout).toMatch(/OT setups are deleted: [1-9]/)
    expect(await restored(['--in-place'])).toMatchObject({ way: 'in_place' })
    await again()
    await before.signs()
    await since.signs()
    expect(since.imports).toBe(2)
    // Only of what was really one.
    expect([...before.events, ...since.events]).toEqual([
      'recovered',
      'rollback-detected',
      'recovered',
    ])
    await server.stop()
  })
})

const missing = missingPostgres()
describe.skipIf(missing !== undefined)(
  `the same bundle on Postgres${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('makes a vault of another generation, in which the same keys sign', async () => {
      newMachine()
      postgres = await startPostgres()
      const secrets = join(harness.folder, 'secrets')
      mkdirSync(secrets)
      const settings = {
        ...adminSetting,
        DATABASE_URL: await postgres.createDatabase(),
        VERTEX_BACKUP_SECRET_FILE: join(server.folder, 'vertex-secret/backup-secret'),
        VERTEX_STORAGE_KEY_FILE: join(secrets, 'storage-key'),
      }
      writeFileSync(settings.VERTEX_STORAGE_KEY_FILE, `${'5a'.repeat(32)}\n`, { mode: 0o600 })
      const plan = await vertexHere(['restore', bundle, '--plan'], {
        folder: server.folder,
        settings,
      })
      expect(plan.status).toBe(0)
      expect(plan.stdout).toContain('the tables are made')
      await restored([bundle], server.folder, settings)
      expect(new Set(generations).size).toBe(generations.length)
      await again(settings)
      await before.signs()
      expect(await locked.fails()).toMatchObject({ errType: 'key_locked' })
      expect(await statusOf(revokedBefore.apiKey)).toBe(401)
      const used = await vertexHere(['--json', 'restore', bundle], {
        folder: server.folder,
        settings,
      })
      expect(JSON.parse(used.stderr)).toMatchObject({ error: { code: 'database_in_use' } })
      // And back: what is on Postgres makes a bundle as well.
      const back = join(harness.folder, 'back.bundle')
      const made = await vertexHere(['--json', 'backup', 'bundle', back], {
        folder: server.folder,
        settings,
      })
      expect(made.status).toBe(0)
      await server.stop()
      await restored([back])
      await again()
      await before.signs()
      expect(before.imports).toBe(0)
    })
  },
)
