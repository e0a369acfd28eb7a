import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, request as ask, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Vertex } from '@vertex/sdk'
import { Harness } from '../sdk/support/harness.js'
import { startKeyVault, type KeyVault } from '../support/key-vault/index.js'
import type { TestServer } from '../support/server.js'
import { vertex } from './support/run.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const folder = join(harness.folder, 'backups')
let azure: KeyVault
let server: TestServer
let app: Vertex
let keyFile: string
let proxy: Server
/** Between the command and the server: may answer in its place. */
let meddle: (path: string, answer: string) => string = (_, answer) => answer
let through: string

const now = Math.floor(Date.now() / 1000)
const setSecret = (created: number) =>
  azure.setSecret('my-vault', 'backup-secret', randomBytes(32).toString('base64'), { created })
const start = (port?: number) =>
  harness.server('rewrap', {
    ...(port === undefined ? {} : { port }),
    settings: {
      ...azure.env,
      VERTEX_VAULT_NAME: 'production',
      VERTEX_BACKUP_SECRET_VAULT_NAME: 'my-vault',
      VERTEX_BACKUP_SECRET_NAME: 'backup-secret',
    },
  })

let versions: [string, string]
let blobs: string[]

beforeAll(async () => {
  azure = await startKeyVault()
  const first = setSecret(now - 20)
  server = await start()
  const apiKey = await server.createUser('alice')
  app = await harness.client(server, { apiKey })
  mkdirSync(folder, { recursive: true })
  keyFile = join(harness.folder, 'api-key')
  writeFileSync(keyFile, `${apiKey}\n`)
  blobs = []
  for (let i = 0; i < 3; i++)
    blobs.push(JSON.stringify(await (await app.ecdsa.createKey()).exportBackup()))
  versions = [first, setSecret(now - 10)]
  await server.stop()
  server = await start(server.port)
  proxy = createServer((req, res) => {
    const { method, url: path, headers } = req
    const asked = ask(`${server.url}${path!}`, { method, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const told = Buffer.concat(chunks).toString()
        const text = meddle(path!, told)
        const refuses = text !== told && text.includes('"err_type"')
        const status = refuses ? 503 : answer.statusCode!
        res.writeHead(status, { 'Content-Type': 'application/json' }).end(text)
      })
    })
    req.pipe(asked)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  through = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
})
afterAll(async () => {
  proxy.close()
  await harness.end()
  await azure.close()
})

/** What lies beside the backups. */
const beside = () => readdirSync(folder).filter((name) => !name.endsWith('.json'))

let files = 0
function fileOf(content: string): string {
  const path = join(folder, `backup-${++files}.json`)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

const rewrap = (paths: readonly string[], ...more: string[]) =>
  vertex(['backup', 'rewrap', '--url', through, '--key-file', keyFile, '--json', ...more, ...paths])

interface Result {
  readonly files: readonly {
    readonly file: string
    readonly status?: string
    readonly former_file?: string
    readonly error?: { readonly code: string }
  }[]
}
const statusesOf = (stdout: string) =>
  (JSON.parse(stdout) as Result).files.map((one) => one.status ?? one.error!.code)
const backupOf = (text: string) =>
  JSON.parse(text) as { export_type: 'encrypted'; key_share: string }
/** The version that a backup in a file is under, as the server says. */
const versionOf = async (path: string) =>
  (await app.rest.verifyKeyShare(backupOf(readFileSync(path, 'utf8')))).secret_version

describe('vertex backup rewrap', () => {
  it('says what it would do, and does nothing, with --dry-run', async () => {
    const path = fileOf(blobs[0]!)
    const { exit, stdout, stderr } = await rewrap([path], '--dry-run')
    expect([exit, stderr]).toEqual([0, ''])
    const [one] = (JSON.parse(stdout) as Result).files
    expect(one).toMatchObject({
      file: path,
      status: 'would_rewrap',
      former_secret_version: versions[0],
      secret_version: versions[1],
    })
    expect(readFileSync(path, 'utf8')).toBe(blobs[0])
    expect(stdout).not.toContain('key_share')
  })

  it('puts backups under the newest secret in their place, and then they count there', async () => {
    const paths = blobs.map(fileOf)
    chmodSync(paths[1]!, 0o640)
    const link = join(folder, 'link.json')
    symlinkSync(paths[2]!, link)
    const { exit, stdout, stderr } = await rewrap([paths[0]!, paths[1]!, link])
    expect([exit, stderr, statusesOf(stdout)]).toEqual([0, '', Array(3).fill('rewrapped')])
    for (const path of paths) expect(await versionOf(path)).toBe(versions[1])
    expect(paths.map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o640, 0o600])
    const kept = paths.map((path) => `${path}.before-rewrap`)
    expect((JSON.parse(stdout) as Result).files.map((one) => one.former_file)).toEqual(kept)
    expect(kept.map((path) => readFileSync(path, 'utf8'))).toEqual(blobs)
    expect(beside()).toEqual(kept.map((path) => basename(path)))
    const { secrets } = await app.rest.backupCoverage()
    expect(secrets).toMatchObject([{ version: versions[1], keys: 3, newest: true }])

    const text = readFileSync(paths[0]!, 'utf8')
    const again = await rewrap([paths[0]!])
    expect([again.exit, statusesOf(again.stdout)]).toEqual([0, ['newest']])
    expect(readFileSync(paths[0]!, 'utf8')).toBe(text)
    // As a pattern names them.
    const keptOnes = await rewrap([kept[0]!])
    expect([keptOnes.exit, statusesOf(keptOnes.stdout)]).toEqual([0, ['kept']])
    expect(readFileSync(kept[0]!, 'utf8')).toBe(blobs[0])
    // The new backup is as good as one that the server exported.
    await app.rest.importKeyShare(backupOf(text))
  })

  it('keeps what else stands in a file', async () => {
    const path = fileOf(JSON.stringify({ note: 'of alice', ...JSON.parse(blobs[0]!) }))
    expect((await rewrap([path])).exit).toBe(0)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      note: 'of alice',
      export_type: 'encrypted',
    })
  })

  it('goes on after a file that is bad, and its exit code tells', async () => {
    const [good, other] = [fileOf(blobs[0]!), fileOf(blobs[1]!)]
    const damaged = fileOf(blobs[2]!.replace(/....(==?)?"}$/, 'AAAA"}'))
    const bad = [damaged, fileOf('not JSON'), fileOf('{"export_type":"encrypted"}'), folder]
    bad.push(join(folder, 'nowhere.json'))
    const contents = bad.slice(0, 3).map((path) => readFileSync(path, 'utf8'))
    const { exit, stdout, stderr } = await rewrap([good, ...bad, other])
    expect(exit).toBe(1)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'rewrap_failed' } })
    expect(statusesOf(stdout)).toEqual([
      'rewrapped',
      'backup_invalid',
      'no_backup',
      'no_backup',
      'file',
      'file',
      'rewrapped',
    ])
    expect(bad.slice(0, 3).map((path) => readFileSync(path, 'utf8'))).toEqual(contents)
    const text = await vertex([
      ...['backup', 'rewrap', '--url', through, '--key-file', keyFile],
      ...[fileOf(blobs[0]!), damaged],
    ])
    expect(text.stdout).toMatch(/^rewrapped {2}.* -> .*\nFAILED {5}.*\n$/)
  })

  it.each([
    ['cannot be asked to open the new one', 69, () => '{"err_type":"too_busy","err_msg":"later"}'],
    ['says that the new one is of another key', 1, swapped('pubkey')],
    ['says that the new one is of another key_id', 1, swapped('key_id')],
    ['opens the new one with another secret', 1, swapped('secret_version')],
  ])('leaves the file as it is when the server %s', async (_, code, answered) => {
    const path = fileOf(blobs[0]!)
    const before = beside()
    meddle = (at, answer) => (at.endsWith('/verify-key-share') ? answered(answer) : answer)
    try {
      const { exit, stdout } = await rewrap([path])
      expect(exit).toBe(code)
      expect(statusesOf(stdout)).not.toContain('rewrapped')
    } finally {
      meddle = (__, answer) => answer
    }
    expect(readFileSync(path, 'utf8')).toBe(blobs[0])
    expect(beside()).toEqual(before)
  })

  it.each([
    ['of another key', () => app.rest.rewrapKeyShare(backupOf(blobs[1]!))],
    ['under the secret that it was under', () => Promise.resolve(backupOf(blobs[0]!))],
  ])(
    'leaves the file as it is when the server makes a backup %s and says that all is well',
    async (_, other) => {
      const path = fileOf(blobs[0]!)
      const [before, { key_share }] = [beside(), await other()]
      let made: object = {}
      meddle = (at, answer) => {
        if (at.endsWith('/verify-key-share')) return JSON.stringify(made)
        made = { ...(JSON.parse(answer) as object), key_share }
        return JSON.stringify(made)
      }
      try {
        const { exit, stdout } = await rewrap([path])
        expect([exit, statusesOf(stdout)]).toEqual([1, ['bad_response']])
        expect((await rewrap([path], '--dry-run')).exit).toBe(1)
      } finally {
        meddle = (__, answer) => answer
      }
      expect(readFileSync(path, 'utf8')).toBe(blobs[0])
      expect(beside()).toEqual(before)
    },
  )

  it('leaves the file as it is when what the server answers is no backup', async () => {
    const path = fileOf(blobs[0]!)
    const garbage = (text: string) =>
      JSON.stringify({ ...(JSON.parse(text) as object), key_share: 'AAAA' })
    meddle = (at, answer) => (at.endsWith('/rewrap-key-share') ? garbage(answer) : answer)
    try {
      const { exit, stdout } = await rewrap([path])
      expect([exit, statusesOf(stdout)]).toEqual([1, ['bad_response']])
    } finally {
      meddle = (_, answer) => answer
    }
    expect(readFileSync(path, 'utf8')).toBe(blobs[0])
  })

  it('does not begin with a key that is not accepted', async () => {
    const path = fileOf(blobs[0]!)
    const stranger = join(harness.folder, 'stranger')
    writeFileSync(stranger, 'vtx_nobody')
    const words = ['backup', 'rewrap', '--url', through, '--key-file', stranger, path]
    expect(await vertex(words)).toMatchObject({ exit: 77, stdout: '' })
    expect(await vertex(words.slice(0, -1))).toMatchObject({ exit: 2, stdout: '' })
  })

  const missing = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status !== 0
  const suffix =
    missing && process.env['CI'] !== 'true' ? ' (skipped: strace cannot trace here)' : ''
  it.skipIf(suffix !== '')(
    `syncs the new file before it takes the place, and then its folder${suffix}`,
    async () => {
      const path = fileOf(blobs[0]!)
      const log = join(harness.folder, 'strace')
      const program = join(import.meta.dirname, '../../dist/cli/main.js')
      // Not waited for at a standstill: the server asks the key vault, which is in this process.
      const { stderr } = await promisify(execFile)('strace', [
        ...[
          '-f',
          '-y',
          '-qq',
          '-e',
          'trace=fsync,link,linkat,rename,renameat,renameat2',
          '-o',
          log,
        ],
        ...[process.execPath, program, 'backup', 'rewrap'],
        ...['--url', server.url, '--key-file', keyFile, path],
      ])
      expect(stderr).toBe('')
      const calls = readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes(folder))
      expect(calls.map((line) => /(fsync|link|rename)/.exec(line)?.[1])).toEqual([
        'fsync',
        'link',
        'fsync',
        'rename',
        'fsync',
      ])
      expect(calls[0]).toContain(`${path}.`)
      expect(calls[1]).toContain(`"${path}.before-rewrap"`)
      for (const call of [calls[2], calls[4]]) expect(call).toContain(`<${folder}>`)
    },
  )
})

function swapped(member: string) {
  return (answer: string) => {
    const body = JSON.parse(answer) as Record<string, string>
    return JSON.stringify({ ...body, [member]: `${body[member]!}0` })
  }
}
