import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseLine, verifyLog } from '../../src/audit/index.js'
import { StorageKey, parseSecret } from '../../src/seal/index.js'
import { vertexHere } from '../support/command.js'
import { startServer, type TestServer } from '../support/server.js'

// Processes start and are killed here; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let folder: string
let server: TestServer
const at = (...names: string[]) => join(folder, ...names)
const command = (words: string[], where = server.folder, settings = {}) =>
  vertexHere(words, { folder: where, settings })
const failure = ({ stderr }: { stderr: string }) =>
  (JSON.parse(stderr) as { error: { code: string; message: string } }).error

/** A new machine with the backup secret on it. */
function machine(name: string): string {
  mkdirSync(at(name, 'vertex-secret'), { recursive: true })
  cpSync(
    join(server.folder, 'vertex-secret/backup-secret'),
    at(name, 'vertex-secret/backup-secret'),
  )
  return at(name)
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-bundle-'))
  server = await startServer({ folder: at('server') })
  await server.createUser('ada')
  expect((await command(['backup', 'bundle', at('good.bundle')])).status).toBe(0)
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

describe('vertex backup bundle', () => {
  it('writes one file for its owner only, and gives it a name of its own in a folder', async () => {
    mkdirSync(at('bundles'))
    const { status, stdout } = await command(['--json', 'backup', 'bundle', at('bundles')])
    expect(status).toBe(0)
    const [name, ...others] = readdirSync(at('bundles'))
    expect(others).toEqual([])
    expect(name).toMatch(/^vertex-\d{8}T\d{6}Z\.bundle$/)
    const file = at('bundles', name!)
    expect(JSON.parse(stdout)).toMatchObject({ file, bytes: statSync(file).size })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  const recorded = (database: BetterSqlite3.Database) =>
    (database.prepare('SELECT line FROM audit_records ORDER BY seq').pluck().all() as string[])
      .map((line) => parseLine(line)!.record)
      .filter(({ action }) => action === 'bundle')
      .map(({ actor, outcome, values }) => [actor, outcome, Object.fromEntries(values)])

  it('is recorded before and after, beside the server, whose own records follow', async () => {
    const { stdout } = await command(['--json', 'backup', 'bundle', at('recorded.bundle')])
    const { sha256, audit_head } = JSON.parse(stdout) as {
      sha256: string
      audit_head: { seq: number }
    }
    await server.createUser('after a bundle')
    const database = new BetterSqlite3(join(server.folder, 'data/vertex.db'), { readonly: true })
    const all = database.prepare('SELECT line FROM audit_records ORDER BY seq').pluck().all()
    expect(recorded(database).slice(-2)).toEqual([
      ['server', 'begun', {}],
      ['server', 'done', { bundle: sha256 }],
    ])
    database.close()
    const begun = parseLine((all as string[])[audit_head.seq - 1]!)!.record
    expect([begun.action, begun.outcome]).toEqual(['bundle', 'begun'])
    expect(await command(['audit', 'verify'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('everything that began has ended') as string,
    })
  })

  it('is not made where it cannot be recorded, and what fails half way is recorded as that', async () => {
    const where = machine('unrecorded')
    cpSync(join(server.folder, 'vertex-secret'), join(where, 'vertex-secret'), { recursive: true })
    mkdirSync(join(where, 'data'))
    const running = new BetterSqlite3(join(server.folder, 'data/vertex.db'), { readonly: true })
    await running.backup(join(where, 'data/vertex.db'))
    running.close()
    const database = new BetterSqlite3(join(where, 'data/vertex.db'))
    const before = recorded(database).length
    expect((await command(['backup', 'bundle', '/proc/no.bundle'], where)).status).toBe(2)
    expect(recorded(database).slice(before)).toEqual([
      ['server', 'begun', {}],
      ['server', 'failed', {}],
    ])
    database.exec(`CREATE TRIGGER full BEFORE INSERT ON audit_records
      BEGIN SELECT RAISE(ABORT, 'no room'); END`)
    expect((await command(['backup', 'bundle', at('unrecorded.bundle')], where)).status).not.toBe(0)
    database.exec('DROP TRIGGER full')
    database.exec('DROP TRIGGER audit_records_no_update')
    database.exec(
      `UPDATE audit_records SET line = 'x' WHERE seq = (SELECT max(seq) FROM audit_records)`,
    )
    const damaged = await command(['--json', 'backup', 'bundle', at('unrecorded.bundle')], where)
    expect([damaged.status, failure(damaged).message]).toEqual([
      78,
      expect.stringContaining('the audit log cannot be gone on with') as string,
    ])
    expect(existsSync(at('unrecorded.bundle'))).toBe(false)
    database.close()
  })

  it('does not replace a file, and leaves none where it fails', async () => {
    writeFileSync(at('mine'), 'something')
    const taken = await command(['--json', 'backup', 'bundle', at('mine')])
    expect([taken.status, failure(taken).code]).toEqual([2, 'file_exists'])
    expect(readFileSync(at('mine'), 'utf8')).toBe('something')
    const nowhere = await command(['--json', 'backup', 'bundle', at('mine', 'x')])
    expect([nowhere.status, failure(nowhere).code]).toEqual([2, 'file'])
    const renamed = await command(['--json', 'backup', 'bundle', at('other')], server.folder, {
      VERTEX_VAULT_NAME: 'another',
    })
    expect(renamed.status).toBe(78)
    expect(failure(renamed).message).toContain('VERTEX_VAULT_NAME')
    expect(existsSync(at('other'))).toBe(false)
  })

  it('is refused in plaintext mode, where no database is, and with a wrong setting', async () => {
    const plaintext = {
      VERTEX_BACKUP_MODE: 'plaintext',
      VERTEX_ALLOW_RAW_EXPORT: 'yes-i-understand',
    }
    const inTheClear = await command(
      ['--json', 'backup', 'bundle', at('p')],
      server.folder,
      plaintext,
    )
    expect([inTheClear.status, failure(inTheClear).message]).toEqual([
      78,
      expect.stringContaining('VERTEX_BACKUP_MODE') as string,
    ])
    const empty = machine('empty')
    cpSync(join(server.folder, 'vertex-secret'), join(empty, 'vertex-secret'), { recursive: true })
    const nothing = await command(['--json', 'backup', 'bundle', at('p')], empty)
    expect(failure(nothing).message).toContain('there is no database here')
    expect(existsSync(join(empty, 'data'))).toBe(false)
    const wrong = await command(['--json', 'backup', 'bundle', at('p')], empty, { VERTEX_X: 'y' })
    expect([wrong.status, failure(wrong).code]).toEqual([78, 'config'])
  })

  const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0
  const skipped = strace || process.env['CI'] === 'true' ? '' : ' (skipped: no strace)'
  it.skipIf(skipped !== '')(`works where files have no second name${skipped}`, async () => {
    const program = join(import.meta.dirname, '../../dist/cli/main.js')
    const { status, stderr } = spawnSync(
      'strace',
      [
        ...['-f', '-qq', '-o', at('trace'), '-e', 'trace=link,linkat'],
        ...['-e', 'inject=link,linkat:error=EPERM'],
        ...[process.execPath, program, '--json', 'backup', 'bundle', at('unlinked')],
      ],
      { cwd: server.folder, env: { PATH: process.env['PATH'] }, encoding: 'utf8' },
    )
    expect([status, stderr]).toEqual([0, ''])
    expect(readFileSync(at('trace'), 'utf8')).toContain('EPERM')
    expect(readdirSync(folder).filter((name) => name.startsWith('unlinked'))).toEqual(['unlinked'])
    expect(
      (await command(['restore', at('unlinked'), '--plan'], machine('for-unlinked'))).status,
    ).toBe(0)
  })
})

describe('vertex restore', () => {
  it('wants a bundle or --in-place, and a file that can be read', async () => {
    const where = machine('undecided')
    for (const words of [['restore'], ['restore', 'x', '--in-place']])
      expect((await command(words, where)).status).toBe(2)
    const missing = await command(['--json', 'restore', at('nothing'), '--plan'], where)
    expect([missing.status, failure(missing).code]).toEqual([2, 'bundle_unreadable'])
  })

  it.each([
    ['bundle_truncated', (good: Buffer) => good.subarray(0, -1), {}],
    ['bundle_damaged', (good: Buffer) => flipped(good, good.length - 100), {}],
    ['bundle_newer', (good: Buffer) => flipped(good, 8, 1), {}],
    ['not_a_bundle', (good: Buffer) => flipped(good, 0), {}],
    ['bundle_of_other_vault', (good: Buffer) => good, { VERTEX_VAULT_NAME: 'another' }],
  ])('ends with %s, and nothing was made', async (code, change, settings) => {
    const where = machine(code)
    const file = join(where, 'changed')
    writeFileSync(file, change(readFileSync(at('good.bundle'))))
    for (const more of [['--plan'], []]) {
      const { status, stdout, stderr } = await command(
        ['--json', 'restore', file, ...more],
        where,
        settings,
      )
      expect([status, stdout, failure({ stderr }).code]).toEqual([1, '', code])
      expect(readdirSync(where).sort()).toEqual(['changed', 'vertex-secret'])
      expect(readdirSync(join(where, 'vertex-secret'))).toEqual(['backup-secret'])
    }
  })

  it('names the secret that it would need', async () => {
    const where = machine('other-secret')
    writeFileSync(join(where, 'vertex-secret/backup-secret'), 'ab'.repeat(32), { mode: 0o600 })
    const { status, stderr } = await command(['--json', 'restore', at('good.bundle')], where)
    expect([status, failure({ stderr }).code]).toEqual([1, 'bundle_secret_missing'])
    expect(failure({ stderr }).message).toMatch(/VERTEX_BACKUP_SECRET_FILE: .*backup-secret/)
    expect(existsSync(join(where, 'data'))).toBe(false)
  })

  it('refuses a database that a vault lives in, be the bundle older or newer, and changes nothing', async () => {
    const where = machine('lived-in')
    cpSync(join(server.folder, 'vertex-secret'), join(where, 'vertex-secret'), { recursive: true })
    const snapshot = new BetterSqlite3(join(server.folder, 'data/vertex.db'), { readonly: true })
    mkdirSync(join(where, 'data'))
    await snapshot.backup(join(where, 'data/vertex.db'))
    snapshot.close()
    const before = readFileSync(join(where, 'data/vertex.db'))
    await server.createUser('later')
    expect((await command(['backup', 'bundle', at('newer.bundle')])).status).toBe(0)
    for (const bundle of ['good.bundle', 'newer.bundle']) {
      const { status, stderr } = await command(['--json', 'restore', at(bundle)], where)
      expect([status, failure({ stderr }).code]).toEqual([1, 'database_not_empty'])
    }
    expect(readFileSync(join(where, 'data/vertex.db')).equals(before)).toBe(true)
  })

  it('refuses a database of another vault, and one whose storage key is missing', async () => {
    const where = machine('renamed')
    expect((await command(['restore', at('good.bundle')], where)).status).toBe(0)
    const renamed = await command(['--json', 'restore', '--in-place'], where, {
      VERTEX_VAULT_NAME: 'another',
    })
    expect([renamed.status, failure(renamed).code]).toEqual([1, 'database_of_other_vault'])
    rmSync(join(where, 'vertex-secret/storage-key'))
    const keyless = await command(['--json', 'restore', at('good.bundle')], where)
    expect(keyless.status).toBe(78)
    expect(failure(keyless).message).toContain('VERTEX_STORAGE_KEY_FILE')
  })

  it('forgets the backup secret of a server that was only started, under which nothing was kept', async () => {
    const where = machine('begun-with-another')
    const file = join(where, 'vertex-secret/backup-secret')
    const right = readFileSync(file)
    writeFileSync(file, 'cd'.repeat(32), { mode: 0o600 })
    await (await startServer({ folder: where })).stop()
    writeFileSync(file, right)
    const { stdout: plan } = await command(['restore', at('good.bundle'), '--plan'], where)
    expect(plan).toContain('the backup secrets that it was started with are forgotten')
    expect(plan).toMatch(/revoked since work again, unless VERTEX_API_KEYS_NOT_BEFORE/)
    expect((await command(['restore', at('good.bundle')], where)).status).toBe(0)
    await (await startServer({ folder: where })).stop()
  })

  it('goes into a database on which a server was only started, and its audit log is good', async () => {
    const where = machine('started')
    const started = await startServer({ folder: where })
    await started.stop()
    const { status, stderr, stdout } = await command(['restore', at('good.bundle')], where)
    expect([status, stderr]).toEqual([0, expect.stringContaining('"event":"database_restored"')])
    const generation = /[0-9a-f]{32}/.exec(stdout)![0]
    const database = new BetterSqlite3(join(where, 'data/vertex.db'), { readonly: true })
    const lines = database
      .prepare('SELECT line FROM audit_records ORDER BY seq')
      .pluck()
      .all() as string[]
    database.close()
    const key = parseSecret(readFileSync(join(where, 'vertex-secret/storage-key'), 'utf8'), 'x')
    const chainKey = new StorageKey(key, 'vertex').auditKeys().chain
    const found = await verifyLog(lines, { chainKey, generation })
    expect(found).toMatchObject({ ok: true, keyed: true, generation })
    expect(found.ok && found.restores).toEqual([
      {
        seq: parseLine(lines.at(-1)!)!.record.seq,
        bundle: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        auditHead: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
    ])
  })
})

describe('docs/operations/recovery.md', () => {
  it('has examples that work when pasted, one after the other', () => {
    const page = readFileSync(
      join(import.meta.dirname, '../../docs/operations/recovery.md'),
      'utf8',
    )
    const blocks = [...page.matchAll(/<!-- pasted -->\n+ *```sh\n([^]*?)```/g)].map(
      ([, block]) => block!,
    )
    expect(blocks).toHaveLength(4)
    const where = machine('pasted')
    cpSync(join(server.folder, 'vertex-secret'), join(where, 'vertex-secret'), { recursive: true })
    symlinkSync(join(server.folder, 'data'), join(where, 'data'))
    const program = join(import.meta.dirname, '../../dist/cli/main.js')
    const shim = `vertex() { ${process.execPath} ${program} "$@"; }`
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['-e', '-c', [shim, ...blocks].join('\n')],
      { cwd: where, env: { PATH: process.env['PATH'] }, encoding: 'utf8' },
    )
    expect(status, stderr).toBe(0)
    expect(stdout.match(/This would be done/g)).toHaveLength(2)
    expect(stdout.match(/Restored\. The new generation/g)).toHaveLength(2)
  })
})

function flipped(file: Buffer, place: number, bit = 0): Buffer {
  const changed = Buffer.from(file)
  changed[place]! ^= 1 << bit
  return changed
}
