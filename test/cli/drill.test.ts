import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hexToBytes } from '@vertex/mpc'
import { Vertex, verifyDrillReport, type DrillReport } from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startVertex, type TestVertex } from '../http/vertex.js'
import { vertex } from './support/run.js'

const passphrase = 'words that open the store'
let folder: string
let server: TestVertex
let apiKey: string
let directory: string
let ids: string[]
let identity: Uint8Array

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-drill-'))
  server = await startVertex()
  apiKey = (await server.user()).key
  directory = join(folder, 'shares')
  await withStore(async (app) => {
    ids = [(await app.ecdsa.createKey()).id, (await app.ecdsa.createKey()).id].sort()
    const { vault_identity } = await app.rest.createKey()
    identity = hexToBytes(vault_identity!.public_key)
  })
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

/** Works as the app that has the store open. */
async function withStore<T>(work: (app: Vertex) => Promise<T>): Promise<T> {
  const store = await FileShareStore.open({ directory, passphrase })
  const app = new Vertex({ url: server.url, apiKey, store, allowHttpOnLoopback: true })
  try {
    return await work(app)
  } finally {
    await app.close()
    await store.close()
  }
}

let files = 0
function fileOf(content: string): string {
  const path = join(folder, `file-${++files}`)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

const drill = (options: Record<string, string> = {}, ...more: string[]) => {
  const all = {
    url: server.url,
    'key-file': fileOf(`${apiKey}\n`),
    store: directory,
    'passphrase-file': fileOf(`${passphrase}\n`),
    ...options,
  }
  return ['drill', ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]), ...more]
}

interface Drills {
  readonly drills: readonly {
    readonly id: string
    readonly drilled_at?: string
    readonly report?: DrillReport
    readonly error?: { readonly code: string }
  }[]
}

describe('vertex drill', () => {
  it('drills every key of the store, and gives the signed reports', async () => {
    const { exit, stdout, stderr } = await vertex(drill({}, '--json'))
    expect([exit, stderr]).toEqual([0, ''])
    const { drills } = JSON.parse(stdout) as Drills
    expect(drills.map(({ id }) => id)).toEqual(ids)
    for (const { report, drilled_at } of drills) {
      expect(report!.drilled_at).toBe(drilled_at)
      expect(verifyDrillReport(report!, identity)).toBe(true)
    }
    const { body } = await server.call('GET', '/backup/coverage', { key: apiKey })
    expect(body.counts).toMatchObject({ verified: 2, drilled: 2 })
    const text = await vertex(drill({}, ids[1]!))
    expect(text).toMatchObject({ exit: 0, stderr: '' })
    expect(text.stdout).toMatch(new RegExp(`^good +${ids[1]!} +\\d{4}-\\d\\d-\\d\\dT\\S+Z\\n$`))
    expect(text.stdout.split('\n')).toHaveLength(2)
  })

  it('adds the signed reports to a file, which is its owner’s alone', async () => {
    const reports = join(folder, 'reports.jsonl')
    for (const id of ids) expect(await vertex(drill({ reports }, id))).toMatchObject({ exit: 0 })
    const lines = readFileSync(reports, 'utf8').trimEnd().split('\n')
    const kept = lines.map((line) => JSON.parse(line) as { id: string; report: DrillReport })
    expect(kept.map(({ id }) => id)).toEqual(ids)
    for (const { report } of kept) expect(verifyDrillReport(report, identity)).toBe(true)
    expect(statSync(reports).mode & 0o777).toBe(0o600)
    const nowhere = await vertex(drill({ reports: join(folder, 'no', 'such') }, ids[0]!))
    expect(nowhere).toMatchObject({ exit: 1 })
    expect(nowhere.stdout).toMatch(/^FAILED .*\/no\/such cannot be written \(ENOENT\)$/m)
  })

  it('takes one of its secrets from stdin', async () => {
    const secrets = await vertex(drill({ 'passphrase-file': '-' }), passphrase)
    expect(secrets.exit).toBe(0)
    expect(await vertex(drill({ 'passphrase-file': '-', 'key-file': '-' }))).toMatchObject({
      exit: 2,
      stdout: '',
    })
  })

  it('goes on after a key that fails, and its exit code tells', async () => {
    const unknown = '0'.repeat(32)
    const { exit, stdout, stderr } = await vertex(drill({}, '--json', unknown, ids[0]!))
    expect(exit).toBe(1)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'drill_failed' } })
    const { drills } = JSON.parse(stdout) as Drills
    expect(drills).toMatchObject([
      { id: unknown, error: { code: 'share_not_found' } },
      { id: ids[0], drilled_at: expect.any(String) as string },
    ])
    const text = await vertex(drill({}, unknown))
    expect(text.stdout).toMatch(/^FAILED +0{32} +there is no key/)
  })

  it('tells what may pass from what will not', async () => {
    const exits = async (options: Record<string, string>, ...more: string[]) => {
      const { exit, stderr } = await vertex(drill(options, '--json', ...more))
      return [exit, (JSON.parse(stderr) as { error: { code: string } }).error.code]
    }
    expect(await exits({ url: 'http://127.0.0.1:1' })).toEqual([69, 'drill_failed'])
    expect(await exits({ url: 'http://vertex.example' })).toEqual([2, 'bad_argument'])
    expect(await exits({ 'key-file': fileOf('vtx_nobody') })).toEqual([77, 'access_denied'])
    expect(await exits({ 'passphrase-file': fileOf('wrong') })).toEqual([1, 'wrong_passphrase'])
    expect(await exits({ 'passphrase-file': '/nowhere' })).toEqual([2, 'passphrase_file'])
    const nowhere = join(folder, 'nowhere')
    expect(await exits({ store: nowhere })).toEqual([2, 'store'])
    expect(existsSync(nowhere)).toBe(false)
    await withStore(async () => {
      expect(await exits({})).toEqual([69, 'store_locked'])
    })
    // A failure that stays is not hidden by one that passes.
    expect(await exits({ url: 'http://127.0.0.1:1' }, ids[0]!, '0'.repeat(32))).toEqual([
      1,
      'drill_failed',
    ])
  })
})
