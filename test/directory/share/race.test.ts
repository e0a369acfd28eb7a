import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  decodeFetched,
  decodeResponse,
  decodeShared,
  encodeFetchRequest,
  encodeShareRequest,
} from '@vertex/directory/share'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { missingPostgres, startPostgres, type TestPostgres } from '../../support/postgres.js'
import { buildOnce, freePort } from '../../support/server.js'
import { linkIn, startSmtpSink, type SmtpSink } from '../../support/smtp-sink.js'
import { contactPayload } from './payloads.js'

vi.setConfig({ testTimeout: 480_000, hookTimeout: 180_000 })

/** A process that is killed over a mail keeps it for 120 s; then the job has it, which comes every 30 s. */
const LEASED_MS = 200_000

const main = join(import.meta.dirname, '../../../dist/cli/main.js')

/** One server of several, as a process of its own. */
async function startServer(config: string, id: number, port: number) {
  const words = ['directory', 'share', 'run', '--config', config]
  const child = spawn(
    process.execPath,
    [main, ...words, '--server-id', String(id), '--bind', `127.0.0.1:${port}`],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => (said += text.toString()))
  const exited = once(child, 'exit')
  await vi.waitFor(() => {
    expect(child.exitCode, said).toBeNull()
    expect(said).toContain('"listening"')
  }, 60_000)
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    log: () => said,
    end: async (signal: NodeJS.Signals = 'SIGTERM') => {
      child.kill(signal)
      await exited
    },
  }
}
type Server = Awaited<ReturnType<typeof startServer>>

async function post(url: string, request: Uint8Array) {
  const response = await fetch(`${url}/v1/share`, { method: 'POST', body: Buffer.from(request) })
  return decodeResponse(new Uint8Array(await response.arrayBuffer()))
}

async function publish({ url }: Server, email?: string) {
  const payload = contactPayload()
  const asked = encodeShareRequest({ ttlSeconds: 900, maxFetches: 1, payload, email })
  const { status, body } = await post(url, asked)
  return { status, payload, code: status === 0 ? decodeShared(body).code : '' }
}

/** What a server gives under a code; the status where it gives nothing. */
async function take({ url }: Server, code: string) {
  const { status, body } = await post(url, encodeFetchRequest(code))
  return status === 0 ? Buffer.from(decodeFetched(body).payload) : status
}

const missing = missingPostgres()
describe.skipIf(missing !== undefined)('two servers of share codes on one Postgres', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-share-race-'))
  const config = join(folder, 'key-server.toml')
  let postgres: TestPostgres
  let sink: SmtpSink
  let servers: [Server, Server]
  let ports: [number, number]

  beforeAll(async () => {
    await buildOnce()
    postgres = await startPostgres()
    sink = await startSmtpSink()
    writeFileSync(
      config,
      [
        `db = "${await postgres.createDatabase()}"`,
        'rate_limit_per_minute = 0',
        'verification_email_ip_rate_limit_per_hour = 0',
        'public_url = "https://keys.example/v1/share"',
        `smtp_url = "${sink.url}"`,
        'smtp_from = "keys@example.net"',
      ].join('\n'),
    )
    ports = [await freePort(), await freePort()]
    // At the same moment, on a new database.
    servers = await Promise.all([
      startServer(config, 0, ports[0]),
      startServer(config, 1, ports[1]),
    ])
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.end('SIGKILL')))
    await sink.stop()
    await postgres.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Asks both servers, twice each, for every share at one moment. */
  async function race(count: number, email?: (i: number) => string) {
    const outcomes: (readonly [given: number, refused: number])[] = []
    for (let i = 0; i < count; i++) {
      const { code, payload } = await publish(servers[i % 2]!, email?.(i))
      const answers = await Promise.all(
        [...servers, ...servers].map((server) => take(server, code)),
      )
      const given = answers.filter((each) => each instanceof Buffer && each.equals(payload))
      outcomes.push([given.length, answers.filter((each) => each === 5).length])
    }
    return outcomes
  }

  it('give each of 300 shares out once when both are asked at one moment', async () => {
    expect(await race(300)).toEqual(Array.from({ length: 300 }, () => [1, 3]))
  })

  it('do so with shares that have an address, and send one mail for each', async () => {
    const outcomes = await race(60, (i) => `somebody-${i}@example.com`)
    expect(outcomes).toEqual(Array.from({ length: 60 }, () => [1, 3]))
    // What was fetched before its mail went out needs none any more.
    const addresses = sink.mails.map(({ to }) => to[0])
    expect(new Set(addresses).size).toBe(addresses.length)
  })

  it('verify at one what was published at the other', async () => {
    const { code } = await publish(servers[0], 'over-there@example.com')
    const mail = await vi.waitFor(() => {
      const found = sink.mails.find(({ text }) => text.includes(`code=${code}`))
      expect(found).toBeDefined()
      return found
    }, 20_000)
    const { pathname, search } = new URL(linkIn(mail))
    expect((await fetch(`${servers[1].url}${pathname}${search}`)).status).toBe(200)
    const { body } = await post(servers[0].url, encodeFetchRequest(code))
    expect(decodeFetched(body).verification).toMatchObject({ verified: true })
  })

  it('send five mails to one address in an hour, together', async () => {
    const asked = await Promise.all(
      Array.from({ length: 16 }, (_, i) => publish(servers[i % 2]!, 'bombed@example.com')),
    )
    const statuses = asked.map(({ status }) => status).sort()
    expect(statuses).toEqual([0, 0, 0, 0, 0, ...Array<number>(11).fill(9)])
  })

  it('keep what was acknowledged when one is killed: shares, fetches, and mails that wait', async () => {
    const { port } = sink
    // What is logged below as failed is then the mail below, and no other.
    const earlier = () => sink.mails.filter(({ to }) => to[0] === 'bombed@example.com')
    await vi.waitFor(() => expect(earlier()).toHaveLength(5), LEASED_MS)
    await sink.stop()
    const before = sink.mails
    const [one] = servers
    const [kept, taken] = [await publish(one), await publish(one)]
    expect(await take(one, taken.code)).toBeInstanceOf(Buffer)
    const mailed = await publish(one, 'waits@example.com')
    await vi.waitFor(() => expect(one.log()).toContain('share_mail_failed'), 20_000)
    await one.end('SIGKILL')

    expect(await take(servers[1], kept.code)).toEqual(Buffer.from(kept.payload))
    expect(await take(servers[1], taken.code)).toBe(5)
    // Nobody kicks the other one: it is the job that finds the mail.
    sink = await startSmtpSink({}, port)
    const arrived = () => sink.mails.filter(({ to }) => to[0] === 'waits@example.com')
    await vi.waitFor(() => expect(arrived()).toHaveLength(1), LEASED_MS)
    expect(linkIn(arrived()[0])).toContain(`code=${mailed.code}&`)

    servers[0] = await startServer(config, 0, ports[0])
    expect(await take(servers[0], kept.code)).toBe(5)
    expect(await take(servers[0], taken.code)).toBe(5)
    expect(await take(servers[0], mailed.code)).toBeInstanceOf(Buffer)
    expect(arrived()).toHaveLength(1)
    expect(before.some(({ to }) => to[0] === 'waits@example.com')).toBe(false)
  })

  it('write neither codes, nor addresses, nor tokens into their logs', () => {
    for (const server of servers) {
      expect(server.log()).toContain('/v1/share')
      expect(server.log()).not.toMatch(/@example\.com|token=|"[01][01]\d{12}"/)
    }
  })
})
