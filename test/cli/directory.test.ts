import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signer } from '../directory/keypackage/registry.js'
import { buildOnce } from '../support/server.js'
import { vertex } from './support/run.js'

const program = join(import.meta.dirname, '../../dist/cli/main.js')
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-directory-'))
  await buildOnce()
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Starts one system as its own program and waits until it listens. */
async function start(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [program, 'directory', ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>
  let output = ''
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const found = /"event":"listening","url":"([^"]+)"/.exec(output)
      if (found !== null) resolve(found[1]!)
    })
    void exit.then(() => reject(new Error(`it ended: ${output}${errors}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    return exit
  }
  return { url, stop, said: () => ({ output, errors }) }
}

describe('vertex directory sigchain', () => {
  it('listens where --bind says, keeps its rows where --db says, and ends in order', async () => {
    const db = join(folder, 'kept/chains.db')
    const server = await start(['sigchain', '--bind', '127.0.0.1:0', '--db', db])
    expect(await (await fetch(`${server.url}/v1/healthz`)).text()).toBe('{"status":"ok"}')
    expect(existsSync(db)).toBe(true)
    expect(await server.stop()).toEqual([0, null])
  })

  it('takes the same from the environment of the original, and a level of the log', async () => {
    const server = await start(['sigchain'], {
      KEZ_BIND: '127.0.0.1:0',
      KEZ_DB: join(folder, 'by-environment.db'),
      RUST_LOG: 'info,hyper=debug',
    })
    await fetch(`${server.url}/v1/healthz`)
    expect(await server.stop()).toEqual([0, null])
    expect(existsSync(join(folder, 'by-environment.db'))).toBe(true)
    expect(server.said().output).toContain('"route":"/v1/healthz"')
    expect(server.said().errors).toContain('hyper=debug')
  })

  it('names the flag when somebody else has the port', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const bind = `127.0.0.1:${port}`
    const { exit, stdout, stderr } = await vertex([
      ...['directory', 'sigchain', '--bind', bind],
      ...['--db', join(folder, 'clash.db')],
    ])
    other.close()
    expect([exit, stdout]).toEqual([78, ''])
    expect(stderr).toContain(bind)
    expect(stderr).toContain('--bind')
  })

  it('names the flag when another process has the database', async () => {
    const words = ['sigchain', '--bind', '127.0.0.1:0', '--db', join(folder, 'held.db')]
    const server = await start(words)
    const second = start(words)
    await expect(second).rejects.toThrow(/held\.db is in use.*--db/)
    await server.stop()
  })

  it.each([
    ['--bind', 'here'],
    ['--bind', '127.0.0.1:99999'],
    ['--db', 'mysql://somewhere/else'],
    ['--db', ''],
    ['--db', 'postgres://['],
  ])('refuses %s %s as a wrong command line', async (flag, value) => {
    const { exit, stderr } = await vertex(['directory', 'sigchain', flag, value])
    expect(exit).toBe(2)
    expect(stderr).toContain(flag)
  })

  it('leaves a file alone that is not its own', async () => {
    const text = join(folder, 'notes.txt')
    writeFileSync(text, 'these are my notes, and no database', { mode: 0o644 })
    const other = join(folder, 'other.db')
    const made = new BetterSqlite3(other)
    made.exec('CREATE TABLE sigchain_events (primary_scheme TEXT)')
    made.close()
    const refused = async (db: string) => {
      const words = ['directory', 'sigchain', '--bind', '127.0.0.1:0', '--db', db]
      const { exit, stderr } = await vertex(words)
      expect([exit, stderr]).toEqual([78, expect.stringContaining('--db')])
      return stderr
    }
    expect(await refused(text)).toContain('no SQLite database')
    expect([readFileSync(text, 'utf8'), statSync(text).mode & 0o777]).toEqual([
      'these are my notes, and no database',
      0o644,
    ])
    expect(await refused(other)).toContain('another program')
  })

  it('says which database server does not answer, by its flag', async () => {
    const { exit, stderr } = await vertex([
      ...['directory', 'sigchain', '--bind', '127.0.0.1:0'],
      ...['--db', 'postgres://nobody:secret@127.0.0.1:1/none'],
    ])
    expect(exit).toBe(78)
    expect(stderr).toContain('--db')
    expect(stderr).not.toContain('secret')
  })
})

describe('vertex directory keypackage', () => {
  const alice = signer(1)
  const post = (url: string, byte: number) =>
    fetch(`${url}/v0/keypackage`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(alice.bundle(Uint8Array.of(byte))),
    })

  it('has the flags of the original, and prunes at the start and again and again', async () => {
    const db = join(folder, 'registry.db')
    const words = ['keypackage', '--bind', '127.0.0.1:0', '--db', db]
    const first = await start([...words, '--prune-interval-secs', '3600'])
    for (let byte = 0; byte < 7; byte++) expect((await post(first.url, byte)).status).toBe(204)
    expect(await first.stop()).toEqual([0, null])
    const count = () => {
      const database = new BetterSqlite3(db, { readonly: true })
      const row = database.prepare('SELECT count(*) AS n FROM key_packages').get() as { n: number }
      database.close()
      return row.n
    }
    expect(count()).toBe(7)
    // Five, as documented, without a flag.
    const second = await start(words)
    while (count() !== 5) await sleep(50)
    await second.stop()
    const third = await start([
      ...words,
      ...['--max-per-identity', '2', '--retention-days', '1', '--prune-interval-secs', '1'],
    ])
    while (count() !== 2) await sleep(50)
    for (const byte of [8, 9]) await post(third.url, byte)
    while (count() !== 2) await sleep(50)
    const got = await fetch(`${third.url}/v0/keypackage/${alice.id}`)
    expect(await got.json()).toEqual(alice.signed(Uint8Array.of(9)))
    expect(await third.stop()).toEqual([0, null])
  })

  it.each([
    ['--max-per-identity', '0'],
    ['--retention-days', 'all'],
    ['--prune-interval-secs', '-1'],
  ])('refuses %s %s as a wrong command line', async (flag, value) => {
    const { exit, stderr } = await vertex(['directory', 'keypackage', `${flag}=${value}`])
    expect(exit).toBe(2)
    expect(stderr).toContain(flag)
  })
})
