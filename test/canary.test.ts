import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { decodeKeyShare } from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { MemoryShareStore, Vertex } from '@vertex/sdk'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { startServer, type RunningServer } from '../demo/server.js'
import { decodeRecord } from '../sdk/src/record.js'
import { BackupSecrets, encryptedBackups } from '../src/seal/index.js'
import type { Database } from '../src/store/index.js'
import { engines, sql } from './store/engines.js'
import { Canaries, filesIn, formsOf, rowsOf, type Place } from './support/canaries.js'
import { missingRedis, startRedis } from './support/redis.js'
import { buildOnce, freePort } from './support/server.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 })

const folder = mkdtempSync(join(tmpdir(), 'vertex-canary-'))
const program = join(import.meta.dirname, '../dist/main.js')
const cli = join(import.meta.dirname, '../dist/cli/main.js')
const vaultName = 'canary'
const withoutRedis = missingRedis()

afterAll(async () => {
  for (const engine of engines) await engine.cleanUp()
  rmSync(folder, { recursive: true, force: true })
})

describe('the scanner', () => {
  const secret = randomBytes(32)
  const canaries = new Canaries()
  canaries.add('secret', secret)
  const around = () => randomBytes(50)

  it('finds a secret in every form, in the midst of other things', () => {
    const forms = formsOf(secret)
    expect(forms.length).toBeGreaterThan(20)
    for (const [encoding, form] of forms) {
      const bytes = Buffer.concat([around(), form, around()])
      expect(canaries.find([{ name: 'x', bytes }])).toContain(`secret as ${encoding} in x`)
    }
    for (let before = 0; before < 6; before++)
      for (const encoding of ['base64', 'base64url'] as const) {
        const whole = Buffer.concat([randomBytes(before), secret, around()]).toString(encoding)
        expect(canaries.find([{ name: 'x', bytes: Buffer.from(whole) }])).not.toEqual([])
      }
  })

  it('finds a part of a long one, and nothing where there is nothing', () => {
    const long = randomBytes(200)
    canaries.add('long', long)
    const bytes = Buffer.concat([around(), long.subarray(96, 160), around()])
    expect(canaries.find([{ name: 'x', bytes }])).not.toEqual([])
    expect(canaries.find([{ name: 'x', bytes: randomBytes(1_000_000) }])).toEqual([])
  })
})

describe.each(engines)('no secret leaves a server on $name', (engine) => {
  it.skipIf(engine.missing !== undefined)(
    'through the life of a key, with errors, a bundle, a crash, a loss and a drain; a planted one is found' +
      (withoutRedis === undefined ? '' : ` (its Redis skipped: ${withoutRedis})`),
    () => lifeOfAKey(join(folder, engine.name), () => engine.create()),
  )
})

/** Everything that a server leaves behind, as far as it can be seen from outside. */
class Traces {
  readonly places: Place[] = []

  async collect(when: string, server: RunningServer, metricsPort: number, database: Database) {
    const metrics = await fetch(`http://127.0.0.1:${metricsPort}/metrics`).then(
      (answer) => answer.text(),
      () => undefined, // It is not running now.
    )
    const text = (what: string, content: string) => {
      this.places.push({ name: `${what} ${when}`, bytes: Buffer.from(content) })
    }
    text('stdout and stderr', server.output())
    if (metrics !== undefined) text('metrics', metrics)
    for (const table of await tablesOf(database))
      this.places.push(
        rowsOf(`table ${table} ${when}`, await sql(database, `SELECT * FROM "${table}"`)),
      )
  }
}

async function tablesOf(database: Database): Promise<string[]> {
  const names =
    database.kind === 'sqlite'
      ? await sql(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
      : await sql(database, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
  return names.map(({ name }) => String(name))
}

/** All its files, its log of writes among them. */
async function filesOf(database: Database): Promise<Place[]> {
  if (database.kind === 'sqlite') return [] // Below the folder of the server.
  const [row] = await sql(database, 'SHOW data_directory')
  const path = String(row?.['data_directory'])
  return existsSync(path) ? filesIn(path) : []
}

/** A Redis, and everything that is said between it and whoever uses it. */
async function overheardRedis(password: string) {
  const redis = await startRedis(['--requirepass', password])
  const heard: Buffer[] = []
  const tap = createServer((near) => {
    const far = connect(redis.port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes) => {
        heard.push(bytes)
        to.write(bytes)
      })
      from.on('error', () => undefined)
      from.on('close', () => to.destroy())
    }
  })
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve))
  const { port } = tap.address() as AddressInfo
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    heard: () => Buffer.concat(heard),
    stop: async () => {
      await redis.stop()
      await new Promise((resolve) => tap.close(resolve))
    },
  }
}

async function lifeOfAKey(home: string, create: () => Promise<Database>): Promise<void> {
  await buildOnce()
  const secrets = join(home, 'secrets')
  for (const each of [home, secrets, join(home, 'tmp')]) mkdirSync(each, { recursive: true })
  const canaries = new Canaries()
  const secretFile = (file: string) => {
    const bytes = randomBytes(32)
    writeFileSync(join(secrets, file), bytes.toString('base64'), { mode: 0o600 })
    canaries.add(file, bytes)
    return { path: join(secrets, file), bytes }
  }
  const backupSecret = secretFile('backup-secret')
  const storageKey = secretFile('storage-key')
  const adminToken = randomBytes(24).toString('base64url')
  canaries.add('admin token', adminToken)
  writeFileSync(join(secrets, 'admin-token'), adminToken, { mode: 0o600 })
  const password = randomBytes(16).toString('hex')
  canaries.add('password of the database', password)

  const traces = new Traces()
  const [port, metricsPort] = [await freePort(), await freePort()]
  let database = await create()
  const isPostgres = database.kind === 'postgres'
  const redisPassword = randomBytes(16).toString('hex')
  canaries.add('password of Redis', redisPassword)
  const redis =
    isPostgres && withoutRedis === undefined ? await overheardRedis(redisPassword) : undefined
  const settings = (): Record<string, string> => ({
    VERTEX_VAULT_NAME: vaultName,
    // As the image runs it: with all that is refused in production, and that no dependency may need.
    NODE_ENV: 'production',
    NODE_OPTIONS: '--disable-proto=throw',
    VERTEX_LOG_LEVEL: 'debug',
    VERTEX_AUDIT_ANCHOR_FILE: join(home, 'anchor'),
    VERTEX_AUDIT_ANCHOR_SECONDS: '1',
    VERTEX_RUN_DEADLINE: '8',
    VERTEX_ADMIN_TOKEN_FILE: join(secrets, 'admin-token'),
    VERTEX_BACKUP_SECRET_FILE: backupSecret.path,
    VERTEX_STORAGE_KEY_FILE: storageKey.path,
    VERTEX_METRICS_PORT: String(metricsPort),
    TMPDIR: join(home, 'tmp'),
    ...(redis && { REDIS_URL: redis.url }),
    ...(database.kind === 'postgres'
      ? { DATABASE_URL: withPassword(database.url, password) }
      : { VERTEX_DATA_DIR: database.dataDir }),
  })
  const start = () => startServer({ program, folder: home, port, settings: settings() })
  const collect = (when: string) => traces.collect(when, server, metricsPort, database)
  let server = await start()
  const databases = [database]
  /** A command of the operator's, with the settings of the server. */
  const vertex = async (words: readonly string[]) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [cli, ...words], {
      cwd: home,
      env: { PATH: process.env['PATH'], ...settings() },
    })
    const name = `vertex ${words.slice(0, 2).join(' ')}`
    traces.places.push({ name, bytes: Buffer.from(stdout + stderr) })
  }

  const admin = async (method: string, path: string, body: object) => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { authorization: adminToken, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(answer.status).toBe(200)
    return (await answer.json()) as { api_key: string; user_id: string }
  }
  const canaryKey = (what: string, key: string) => {
    const bytes = Buffer.from(key.replace(/^vtx_/, ''), 'base64url')
    // Its id and its user's are no secrets. What makes it one is what is random in it, and its tag.
    canaries.add(what, bytes.subarray(49, 81))
    canaries.add(what, bytes.subarray(-32))
    return key
  }

  // A key is made, used, backed up.
  const user = await admin('POST', '/admin/create-user', { name: 'canary' })
  const apiKey = canaryKey('API key', user.api_key)
  const other = await admin('POST', '/admin/generate-api-key', { user_id: user.user_id })
  const revoked = canaryKey('revoked API key', other.api_key)
  await admin('DELETE', '/admin/revoke-api-key', { api_key: revoked, user_id: user.user_id })
  const unknown = canaryKey('API key of nobody', `vtx_${randomBytes(130).toString('base64url')}`)
  const store = new MemoryShareStore()
  const client = new Vertex({ url: server.url, apiKey, store, allowHttpOnLoopback: true })
  const key = await client.ecdsa.createKey()
  const [kept] = await store.list('key')
  addShare(canaries, 'client', decodeRecord((await store.get('key', kept!))!.value).share)
  const message = randomBytes(32)
  canaries.add('message', message)
  const toSign = { message, hashAlgo: 'none' as const }
  await key.sign(toSign)
  await key.signBatch([toSign, toSign])
  const blob = await key.exportBackup()
  // What stands before it, such as the public key, is in the database by right.
  canaries.add('backup', Buffer.from(blob.key_share, 'base64').subarray(-200))
  const record = await openBlob(backupSecret.bytes, blob.key_share, user.user_id)
  const share = addShare(canaries, 'server', record)
  const room = await client.rest.createRoom({ room_size: 2 })
  canaries.add('room', room.room_uuid)
  await client.rest.importKeyShare(blob)
  await key.drillBackup()
  const rewrapped = await client.rest.rewrapKeyShare(blob)
  canaries.add('rewrapped backup', Buffer.from(rewrapped.key_share, 'base64').subarray(-200))
  expect(canaries.secrets).toHaveLength(16)

  // What callers do wrong, and what is wrong with the database.
  await errors(server.url, { apiKey, revoked, unknown, adminToken, blob: blob.key_share })
  const breakHandles = isPostgres
    ? 'ALTER TABLE key_handles ADD CONSTRAINT never CHECK (false) NOT VALID'
    : "CREATE TRIGGER never BEFORE INSERT ON key_handles BEGIN SELECT RAISE(ABORT, 'never'); END"
  const mendHandles = isPostgres
    ? 'ALTER TABLE key_handles DROP CONSTRAINT never'
    : 'DROP TRIGGER never'
  const another = await key.exportBackup()
  canaries.add('another backup', Buffer.from(another.key_share, 'base64').subarray(-200))
  await sql(database, breakHandles)
  await expect(client.rest.importKeyShare(another)).rejects.toMatchObject({ status: 500 })
  await sql(database, mendHandles)
  await vi.waitFor(() => expect(server.output()).toContain('internal problem'), 10_000)
  await collect('in the midst of it')

  // Everything leaves in a bundle, and another database is made of it.
  const bundle = join(home, 'whole.bundle')
  await vertex(['backup', 'bundle', bundle])
  await vertex(['backup', 'bundle', `${bundle}-2`, '--json'])
  const lived = database
  database = await create()
  databases.push(database)
  await vertex(['restore', bundle, '--plan'])
  await vertex(['restore', bundle])
  await traces.collect('after a restore', server, metricsPort, database)
  database = lived

  // A crash while it signs; what lies on the disk then.
  const signing = Promise.allSettled(Array.from({ length: 8 }, () => key.sign(toSign)))
  await sleep(50)
  await server.kill()
  await signing
  traces.places.push(
    { name: 'stdout and stderr of the crash', bytes: Buffer.from(server.output()) },
    ...filesLeft('after the crash'),
    ...(await filesOf(database)),
  )
  server = await start()
  await key.sign(toSign)
  await collect('after the crash')
  await server.stop()

  // The database is lost, and the key recovered.
  database = await create()
  databases.push(database)
  server = await start()
  const before = key.keyId
  await key.sign(toSign)
  expect(key.keyId).not.toBe(before)
  await key.exportBackup()
  await collect('after a recovery')

  // It ends while somebody waits for another party.
  const pending = await client.rest.createKey()
  const waiting = fetch(`${server.url}/ecdsa/keygen`, {
    method: 'POST',
    headers: { authorization: apiKey, 'content-type': 'application/json' },
    body: JSON.stringify({
      key_id: pending.key_id,
      room_uuid: (await client.rest.createRoom({ room_size: 2 })).room_uuid,
      num_parties: 2,
      threshold: 2,
      others_keygen_ids: [(await client.rest.createKey()).keygen_id],
    }),
  }).then((answer) => answer.status)
  await key.delete()
  await sleep(200)
  const stopping = server.stop()
  expect(await waiting).toBe(400)
  await stopping
  await client.close()
  traces.places.push({ name: 'stdout and stderr at the end', bytes: Buffer.from(server.output()) })
  // One Postgres has them all.
  const left = [...filesLeft('at the end'), ...(await filesOf(database))]

  function filesLeft(when: string): Place[] {
    const roots = [
      home,
      ...databases.flatMap((each) => (each.kind === 'sqlite' ? [each.dataDir] : [])),
    ]
    const places = roots.flatMap((root) => filesIn(root, (path) => path.startsWith(secrets)))
    return places.map(({ name: path, bytes }) => ({ name: `${path} ${when}`, bytes }))
  }
  const all = [...traces.places, ...left]
  const names = all.map((place) => place.name).join('\n')
  for (const what of [
    ...['metrics', 'stdout and stderr', 'table shares', 'table audit', '/anchor '],
    ...['vertex backup bundle', 'vertex restore', 'whole.bundle', 'table shares after a restore'],
  ])
    expect(names).toContain(what)
  for (const words of ['vertex backup', 'vertex restore'])
    expect(traces.places.find(({ name }) => name.startsWith(words))!.bytes.length).not.toBe(0)
  if (redis !== undefined) {
    await redis.stop()
    const bytes = redis.heard()
    expect(bytes.toString('latin1')).toContain(`vertex:room:{${room.room_uuid}}`)
    // Names of rooms and its own password are there by right, and nothing else.
    const said = canaries.find([{ name: 'Redis', bytes }])
    expect(said.filter((one) => !/^(?:room|password of Redis) as bytes /.test(one))).toEqual([])
    expect(said).toContain('password of Redis as bytes in Redis')
  }
  expect(names).toMatch(isPostgres ? /pg_wal/ : /vertex\.db-wal after the crash/)
  expect(canaries.find(all)).toEqual([])

  // The same scanner over the same things, and one line too many in each.
  await sql(database, `UPDATE users SET name = '${share.toString('hex')}'`)
  const rows = rowsOf('table users', await sql(database, 'SELECT * FROM users'))
  expect(canaries.find([rows])).toEqual(['share of the server as hex in table users'])
  const planted = join(home, 'tmp/left-behind')
  writeFileSync(planted, share)
  expect(canaries.find(filesLeft('planted'))).toContain(
    `share of the server as bytes in ${planted} planted`,
  )
  for (const place of all.filter((each) => /^(?:stdout|metrics|vertex )/.test(each.name))) {
    const leaked = Buffer.concat([place.bytes, Buffer.from(`{"blob":"${blob.key_share}"}`)])
    expect(canaries.find([{ ...place, bytes: leaked }])).not.toEqual([])
  }
}

/** What is secret in an encoded share. */
function addShare(canaries: Canaries, whose: string, record: Uint8Array): Buffer {
  const { secret, identitySecret } = decodeKeyShare(nativeSuite(), record)
  const share = Buffer.from(secret.reveal().toString(16).padStart(64, '0'), 'hex')
  canaries.add(`share of the ${whose}`, share)
  canaries.add(`identity of the ${whose}`, identitySecret.reveal())
  return share
}

async function openBlob(secret: Uint8Array, blob: string, userId: string): Promise<Uint8Array> {
  const secrets = await BackupSecrets.load(
    {
      setting: 'none',
      changes: false,
      load: () =>
        Promise.resolve({
          enabled: [{ bytes: new Uint8Array(secret), name: 'backup', version: '1' }],
          disabled: [],
        }),
    },
    {
      vaultName,
      clock: { now: () => Date.now() },
      log: () => undefined,
      storageFingerprint: new Uint8Array(32),
    },
  )
  const { record } = await encryptedBackups({ vaultName, suite: nativeSuite() }, secrets).open(
    blob,
    userId,
  )
  return record
}

function withPassword(url: string, password: string): string {
  const parsed = new URL(url)
  parsed.password = password
  return parsed.toString()
}

interface Told {
  readonly apiKey: string
  readonly revoked: string
  readonly unknown: string
  readonly adminToken: string
  readonly blob: string
}

/** Secrets where they do not belong: every one of these is refused. */
async function errors(url: string, told: Told): Promise<void> {
  const { apiKey, revoked, unknown, adminToken, blob } = told
  const json = (value: unknown) => JSON.stringify(value)
  const key = encodeURIComponent(apiKey)
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    ask(
      url,
      'POST',
      path,
      { authorization: apiKey, 'content-type': 'application/json', ...headers },
      body,
    )
  const get = (path: string, authorization: string) => ask(url, 'GET', path, { authorization })
  const backup = { export_type: 'encrypted', key_share: blob }
  const damaged = `${blob.slice(0, -9)}AAAAAAAA=`
  const statuses = [
    await get('/ecdsa/keys', revoked),
    await get('/ecdsa/keys', unknown),
    await get('/ecdsa/keys', `Bearer ${apiKey}`),
    await get('/ecdsa/keys', adminToken),
    await get('/admin/create-user?name=x', apiKey),
    await get(`/ecdsa/keys?api_key=${key}`, apiKey),
    await get(`/ecdsa/keys/${key}`, apiKey),
    await get(`/${encodeURIComponent(blob)}`, apiKey),
    await get(`/ecdsa/backup/export-key-share/${encodeURIComponent(blob)}`, apiKey),
    await get(`/admin/generate-api-key?user_id=${encodeURIComponent(adminToken)}`, adminToken),
    await post('/ecdsa/backup/import-key-share', json({ ...backup, key_share: damaged })),
    await post('/ecdsa/backup/import-key-share', json({ ...backup, export_type: 'plaintext' })),
    await post('/ecdsa/backup/import-key-share', json({ ...backup, [apiKey]: adminToken })),
    await post('/ecdsa/backup/import-key-share', `${json(backup)}${blob}`),
    await post('/ecdsa/backup/import-key-share', blob, { 'content-type': 'text/plain' }),
    await post('/ecdsa/backup/import-key-share', json({ ...backup, key_share: blob.repeat(200) })),
    await post(
      '/ecdsa/sign',
      json({ key_id: apiKey, room_uuid: blob, msg: blob, hash_algo: apiKey }),
    ),
    await post('/ecdsa/derive-pubkey', json({ key_id: blob, derivation_path: [apiKey] })),
    await post('/ecdsa/keygen', json(told)),
    await post('/create-room', json({ room_size: blob })),
    await post('/admin/revoke-api-key', json({ api_key: apiKey })),
    await ask(
      url,
      'DELETE',
      '/admin/revoke-api-key',
      { authorization: adminToken, 'content-type': 'application/json' },
      json({ api_key: unknown }),
    ),
    await ask(url, 'GET', '/ecdsa/keys', {
      authorization: apiKey,
      'x-vertex-nonce': blob.slice(0, 200),
    }),
    await ask(url, 'GET', '/ecdsa/keys', { authorization: apiKey, expect: adminToken }),
    await ask(url, 'GET', '/ecdsa/keys', { authorization: apiKey, 'x-long': blob.repeat(100) }),
    await ask(url, 'VERTEX', `/${key}`, { authorization: apiKey }),
  ]
  expect(statuses.filter((status) => status < 400 || status >= 500)).toEqual([])
}

/** As Node sends it, without the checks of fetch. Answers the status. */
function ask(
  url: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const options = { method, headers: { ...headers, ...length }, agent: false }
    const asking = request(url + path, options, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    asking.on('error', reject)
    asking.end(body)
  })
}
