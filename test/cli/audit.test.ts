import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditReport } from '../../src/compose/index.js'
import { sql } from '../store/engines.js'
import { vertexHere } from '../support/command.js'
import { Client } from '../vault/support/client.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { startServer, type TestServer } from '../support/server.js'

let folder: string
let server: TestServer
const at = (name: string) => join(folder, name)
const anchors = () => at('anchors.jsonl')
const database = () => ({ kind: 'sqlite', dataDir: join(server.folder, 'data') }) as const
const command = (words: string[], settings = {}) =>
  vertexHere(words, { folder: server.folder, settings })
const verify = async (...words: string[]) => {
  const { status, stdout, stderr } = await command(['--json', 'audit', 'verify', ...words])
  return { status, report: JSON.parse(stdout) as AuditReport, stderr }
}
const linesOf = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n')

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-audit-'))
  server = await startServer({
    folder: at('server'),
    settings: { VERTEX_AUDIT_ANCHOR_FILE: anchors(), VERTEX_AUDIT_ANCHOR_SECONDS: '1' },
  })
  for (const name of ['ada', 'ben', 'cyd']) await server.createUser(name)
  while (!existsSync(anchors()) || !readFileSync(anchors(), 'utf8').includes('"anchor":7'))
    await sleep(20)
  expect((await command(['audit', 'export', at('good.jsonl')])).status).toBe(0)
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

describe('vertex audit export', () => {
  it('writes the log beside the running server, for its owner only, and replaces nothing', async () => {
    const { stdout } = await command(['--json', 'audit', 'export', at('again.jsonl')])
    const made = JSON.parse(stdout) as { file: string; seq: number; hash: string }
    expect(made).toMatchObject({ file: at('again.jsonl'), seq: 7 })
    const lines = linesOf(at('again.jsonl'))
    expect(lines).toHaveLength(7)
    expect(lines.at(-1)).toContain(`"hash":"${made.hash}"`)
    const again = await command(['--json', 'audit', 'export', at('again.jsonl')])
    expect([again.status, again.stdout]).toEqual([2, ''])
    expect(again.stderr).toContain('file_exists')
  })

  it('says where there is no database', async () => {
    const missing = { VERTEX_DATA_DIR: at('nowhere') }
    const { status, stderr } = await command(['audit', 'export', at('none.jsonl')], missing)
    expect(status).toBe(78)
    expect(stderr).toContain('VERTEX_DATA_DIR')
    expect(existsSync(at('none.jsonl'))).toBe(false)
  })
})

describe('vertex audit verify', () => {
  it('checks the database beside the running server, with its anchors', async () => {
    const { status, report } = await verify('--anchors', anchors())
    expect(status).toBe(0)
    expect(report).toMatchObject({
      ok: true,
      head: { seq: 7 },
      codes: true,
      unfinished: [],
      unanchored: 0,
      anchors: { abandoned: 0, foreign: 0, unreadable: 0 },
    })
    const told = await command(['audit', 'verify'])
    expect(told).toMatchObject({ status: 0, stderr: '' })
    expect(told.stdout).toMatch(/^7 records, all in order; head [0-9a-f]{64}\n/)
  })

  it('checks an exported log with nothing but the files, and with --codes also its codes', async () => {
    const elsewhere = mkdtempSync(join(folder, 'auditor-'))
    const words = ['--json', 'audit', 'verify', at('good.jsonl'), '--anchors', anchors()]
    const bare = await vertexHere(words, { folder: elsewhere })
    expect(bare.status).toBe(0)
    expect(JSON.parse(bare.stdout)).toMatchObject({ ok: true, codes: false, head: { seq: 7 } })
    expect((await verify(at('good.jsonl'), '--codes')).report).toMatchObject({ codes: true })
  })

  it('names the first bad record of a changed file', async () => {
    const lines = linesOf(at('good.jsonl'))
    const bad = (change: (lines: string[]) => unknown) => {
      const changed = [...lines]
      change(changed)
      writeFileSync(at('bad.jsonl'), changed.join('\n'))
      return verify(at('bad.jsonl'), '--anchors', anchors())
    }
    for (const [change, seq, problem] of [
      [(l: string[]) => (l[3] = l[3]!.replace('create_user', 'delete_user')), 4, 'changed'],
      [(l: string[]) => l.splice(4, 1), 5, 'out_of_order'],
      [(l: string[]) => (l[2] = l[2]!.slice(0, 40)), 3, 'malformed'],
      [(l: string[]) => l.splice(5), 6, 'cut_off'],
    ] as const) {
      const { status, report, stderr } = await bad(change)
      expect([status, report]).toEqual([1, { ok: false, seq, problem }])
      expect(stderr).toContain(problem)
    }
    // Words for people name it too.
    const told = await command(['audit', 'verify', at('bad.jsonl'), '--anchors', anchors()])
    expect(told.stdout).toBe('record 6 is the first bad one: cut_off\n')
  })

  it('finds a log of which no anchor tells', async () => {
    // The same secrets, and so the same keys.
    cpSync(join(server.folder, 'vertex-secret'), join(at('other'), 'vertex-secret'), {
      recursive: true,
    })
    const other = await startServer({ folder: at('other') })
    await other.createUser('eve')
    const words = ['--json', 'audit', 'verify', '--anchors', anchors()]
    const { status, stdout } = await vertexHere(words, { folder: other.folder })
    expect([status, JSON.parse(stdout)]).toEqual([
      1,
      { ok: false, seq: 1, problem: 'no_anchor_agrees' },
    ])
    await other.stop()
  })

  it('takes a file of anchors without one that can be read for none that agrees', async () => {
    for (const text of ['', '{"anchor":3\n']) {
      writeFileSync(at('emptied.jsonl'), text)
      const { status, report } = await verify('--anchors', at('emptied.jsonl'))
      expect([status, report]).toEqual([1, { ok: false, seq: 1, problem: 'no_anchor_agrees' }])
    }
  })

  it('says what it cannot read', async () => {
    for (const words of [[at('none')], ['--anchors', at('none')]]) {
      const { status, stdout, stderr } = await command(['--json', 'audit', 'verify', ...words])
      expect([status, stdout]).toEqual([2, ''])
      expect(stderr).toContain('ENOENT')
    }
  })

  it('counts what a crash left of an anchor', async () => {
    writeFileSync(at('torn.jsonl'), `{"anchor":3\n${readFileSync(anchors(), 'utf8')}`)
    const { status, report } = await verify('--anchors', at('torn.jsonl'))
    expect([status, report.ok && report.anchors.unreadable]).toEqual([0, 1])
  })

  it('knows what had begun when the server was killed', async () => {
    const victim = await startServer({ folder: at('victim') })
    const apiKey = await victim.createUser('ada')
    const call = async (path: string, body?: object) => {
      const response = await fetch(victim.url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { Authorization: apiKey, 'Content-Type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
      return (await response.json()) as Record<string, string>
    }
    const { key_id } = await call('/ecdsa/create')
    const { room_uuid } = await call('/create-room', { room_size: 2 })
    const others = [new Client().keygenId]
    // Nobody else comes into this room.
    const pending = call('/ecdsa/keygen', {
      key_id,
      room_uuid,
      num_parties: 2,
      threshold: 2,
      others_keygen_ids: others,
    }).catch((error: unknown) => error)
    const where = { kind: 'sqlite', dataDir: join(victim.folder, 'data') } as const
    const keygens = `SELECT seq FROM audit_records WHERE line LIKE '%"action":"keygen"%'`
    while ((await sql(where, keygens)).length === 0) await sleep(20)
    await victim.kill()
    expect(await pending).toBeInstanceOf(Error)
    const words = ['--json', 'audit', 'verify']
    const { status, stdout } = await vertexHere(words, { folder: victim.folder })
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, head: { seq: 4 }, unfinished: [4] })
  })

  it('finds what was changed in the database', async () => {
    await sql(database(), 'DROP TRIGGER audit_records_no_update')
    await sql(
      database(),
      `UPDATE audit_records SET line = replace(line, 'admin', 'user') WHERE seq = 3`,
    )
    const { status, report } = await verify()
    expect([status, report]).toEqual([1, { ok: false, seq: 3, problem: 'changed' }])
  })
})

const missing = missingPostgres()
describe.skipIf(missing !== undefined)(
  `the audit log on Postgres${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let postgres: TestPostgres
    beforeAll(async () => {
      postgres = await startPostgres()
    })
    afterAll(() => postgres.stop())

    it('is exported and verified beside the running server as well', async () => {
      const secret = (name: string) => {
        writeFileSync(at(name), name.padEnd(64, '0').replace(/[^0-9a-f]/g, 'a'), { mode: 0o600 })
        return at(name)
      }
      const settings = {
        DATABASE_URL: await postgres.createDatabase(),
        VERTEX_ADMIN_TOKEN: 'test-admin-token-0123456789abcdef',
        VERTEX_BACKUP_SECRET_FILE: secret('backup-secret'),
        VERTEX_STORAGE_KEY_FILE: secret('storage-key'),
      }
      const other = await startServer({ folder: at('postgres'), settings })
      await other.createUser('ada')
      const where = { folder: other.folder, settings }
      const { stdout } = await vertexHere(['--json', 'audit', 'verify'], where)
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, head: { seq: 3 }, unfinished: [] })
      await vertexHere(['audit', 'export', at('postgres.jsonl')], where)
      expect(linesOf(at('postgres.jsonl'))).toHaveLength(3)
      // A bundle writes two records beside the server, and the server goes on after them.
      expect((await vertexHere(['backup', 'bundle', at('bundle')], where)).status).toBe(0)
      await other.createUser('ben')
      const after = await vertexHere(['--json', 'audit', 'verify'], where)
      expect(JSON.parse(after.stdout)).toMatchObject({ ok: true, head: { seq: 7 }, unfinished: [] })
      await other.stop()
    })
  },
)
