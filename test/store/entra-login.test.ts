import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type RunningServer } from '../../demo/server.js'
import { connectionTo } from '../../src/store/postgres-login.js'
import { makeCertificates } from '../support/key-vault/certificates.js'
import { startKeyVault, type KeyVault } from '../support/key-vault/index.js'
import { missingPostgres, startGuardedPostgres, type GuardedPostgres } from '../support/postgres.js'
import { buildOnce, freePort } from '../support/server.js'

const host = 'psql-vertex.postgres.database.azure.com'
const resource = 'https://ossrdbms-aad.database.windows.net'
const clientId = '6ab0a6c1-7c0f-4a55-b6a3-2f5a4f0a1c11'
const role = 'id-vertex'
const adminToken = 'test-admin-token-0123456789abcdef'
const program = join(import.meta.dirname, '../support/main-with-hosts.mjs')

describe('the login to a database of Azure', () => {
  const tokenFor = () => Promise.resolve('a-token')
  const to = (url: string) => connectionTo(url, tokenFor)

  it('is by token where the URL has a user and no password', async () => {
    const { connectionString, password, ...rest } = to(`postgres://id%2Dvertex@${host}:6432/vertex`)
    expect(connectionString).toBeUndefined()
    expect(rest).toEqual({ host, port: 6432, user: role, database: 'vertex', ssl: {} })
    expect(await (password as () => Promise<string>)()).toBe('a-token')
  })

  it('asks under the scope of its cloud', async () => {
    for (const [end, scope] of [
      ['azure.com', 'https://ossrdbms-aad.database.windows.net/.default'],
      ['usgovcloudapi.net', 'https://ossrdbms-aad.database.usgovcloudapi.net/.default'],
      ['chinacloudapi.cn', 'https://ossrdbms-aad.database.chinacloudapi.cn/.default'],
    ] as const) {
      const asked: string[] = []
      const { password } = connectionTo(`postgres://u@db.postgres.database.${end}/v`, (of) => {
        asked.push(of)
        return Promise.resolve('t')
      })
      await (password as () => Promise<string>)()
      expect(asked).toEqual([scope])
    }
  })

  it('is by password, certificate or trust everywhere else', () => {
    for (const url of [
      `postgres://u:pw@${host}/v`,
      `postgres://u@${host}/v?password=pw`,
      `postgres://${host}/v`,
      'postgres://u@db.example.com/v',
      `postgres://u@${host}.example.com/v`,
      `postgres://u@db.example.com/v?options=${host}`,
    ])
      expect(Object.keys(to(url))).toEqual(['connectionString'])
    expect(Object.keys(connectionTo(`postgres://u@${host}/v`, undefined))).toEqual([
      'connectionString',
    ])
  })

  it('sends a token to nobody whose name is not proved', () => {
    for (const mode of ['disable', 'require', 'no-verify', 'verify-ca'])
      expect(() => to(`postgres://u@${host}/v?sslmode=${mode}`)).toThrow('verify-full')
    for (const more of ['ssl=0', 'host=elsewhere.example.com', 'uselibpqcompat=true'])
      expect(() => to(`postgres://u@${host}/v?${more}`)).toThrow('cannot have')
    expect(() => to(`postgres://u@${host}/v?sslrootcert=/none/at/all`)).toThrow('sslrootcert')
  })
})

const missing = missingPostgres()
describe.skipIf(missing !== undefined)(
  `a server logged in by token${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let folder: string
    let kv: KeyVault
    let postgres: GuardedPostgres
    let settings: Record<string, string>

    beforeAll(async () => {
      await buildOnce()
      folder = mkdtempSync(join(tmpdir(), 'vertex-entra-'))
      const tls = makeCertificates([host])
      const authority = join(folder, 'authority.pem')
      writeFileSync(authority, tls.authority)
      kv = await startKeyVault()
      kv.setSecret('prod-vault', 'admin-token', `${adminToken}\n`)
      postgres = await startGuardedPostgres(tls)
      await postgres.run(`CREATE ROLE "${role}" LOGIN`)
      await postgres.run(`CREATE DATABASE vertex OWNER "${role}"`)
      const secret = (name: string) => {
        writeFileSync(join(folder, name), randomBytes(32).toString('hex'), { mode: 0o600 })
        return join(folder, name)
      }
      settings = {
        NODE_OPTIONS: '--disable-proto=throw', // as in the image
        ...kv.env,
        AZURE_CLIENT_ID: clientId,
        DATABASE_URL: `postgres://${role}@${host}:${postgres.port}/vertex?sslmode=verify-full&sslrootcert=${authority}`,
        VERTEX_ADMIN_SECRET_NAME: 'admin-token',
        VERTEX_ADMIN_SECRET_VAULT_NAME: 'prod-vault',
        VERTEX_BACKUP_SECRET_FILE: secret('backup-secret'),
        VERTEX_STORAGE_KEY_FILE: secret('storage-key'),
        VERTEX_TEST_HOSTS: host,
        VERTEX_TEST_PROGRAM: 'main.js',
      }
    })
    afterAll(async () => {
      await postgres.stop()
      await kv.close()
      rmSync(folder, { recursive: true })
    })

    /** From now on this is the token, and the only one that the database takes. */
    const tokenIs = async (token: string, lifetimeS?: number) => {
      kv.fixToken(resource, token, lifetimeS)
      await postgres.run(`ALTER ROLE "${role}" PASSWORD '${token}'`)
    }
    const cutConnections = () =>
      postgres.run(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`,
      )
    const start = async () => startServer({ program, folder, port: await freePort(), settings })
    /** Not synchronously: the stand-ins live in this process. */
    const run = async (name: string, ...words: string[]) => {
      const child = spawn(process.execPath, [program, ...words], {
        cwd: folder,
        env: { PATH: process.env['PATH'], PORT: '0', ...settings, VERTEX_TEST_PROGRAM: name },
        timeout: 30_000,
      })
      const written = { stdout: '', stderr: '' }
      for (const name of ['stdout', 'stderr'] as const)
        child[name].setEncoding('utf8').on('data', (text: string) => (written[name] += text))
      const [status] = (await once(child, 'close')) as [number | null]
      return { status, ...written }
    }
    const createUser = async (server: RunningServer, name: string) => {
      const response = await fetch(`${server.url}/admin/create-user`, {
        method: 'POST',
        headers: { Authorization: adminToken, 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      })
      return { status: response.status, body: (await response.json()) as { err_type?: string } }
    }

    it('works, asks as the identity it was told, and gets a new token for a new connection', async () => {
      const first = randomBytes(900).toString('base64url')
      await tokenIs(first, 1)
      const server = await start()
      try {
        expect(await createUser(server, 'one')).toMatchObject({ status: 200 })
        expect(kv.requests).toContain(`identity ${clientId}`)

        await tokenIs(randomBytes(900).toString('base64url'), 1)
        // A connection that is open outlives its token.
        expect(await createUser(server, 'two')).toMatchObject({ status: 200 })
        await cutConnections()
        await sleep(200)
        expect(await createUser(server, 'three')).toMatchObject({ status: 200 })
        expect(server.output()).not.toContain(first)
      } finally {
        await server.stop()
      }
    })

    it('answers 503 while there is no token, and goes on when there is one', async () => {
      await tokenIs('a-token-of-a-second', 1)
      const server = await start()
      try {
        kv.refuseIdentity(true)
        await cutConnections()
        await sleep(200)
        const began = performance.now()
        expect(await createUser(server, 'four')).toMatchObject({
          status: 503,
          body: { err_type: 'storage_unavailable' },
        })
        expect(performance.now() - began).toBeLessThan(6_000)
        kv.refuseIdentity(false)
        // The lease may have run out meanwhile, and is then taken again.
        await expect
          .poll(async () => (await createUser(server, 'five')).status, { timeout: 5_000 })
          .toBe(200)
      } finally {
        kv.refuseIdentity(false)
        await server.stop()
      }
    })

    it('does not start without a token, or with one that is refused, and says why', async () => {
      kv.refuseIdentity(true)
      expect(await run('main.js')).toMatchObject({
        status: 78,
        stderr: expect.stringContaining('the managed identity gives no token') as string,
      })
      kv.refuseIdentity(false)
      await tokenIs('a-token')
      kv.fixToken(resource, 'another-token')
      expect(await run('main.js')).toMatchObject({
        status: 78,
        stderr: expect.stringContaining('it refuses the user or the password') as string,
      })
    })

    it('is there for bundles and restores as well', async () => {
      await tokenIs('a-token')
      const file = join(folder, 'a.bundle')
      expect(await run('cli/main.js', 'backup', 'bundle', file)).toMatchObject({
        status: 0,
        stdout: expect.stringContaining(file) as string,
      })
      expect(await run('cli/main.js', 'restore', '--in-place')).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('new generation is') as string,
      })
    })
  },
)
