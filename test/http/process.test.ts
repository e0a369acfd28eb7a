import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { vertexCommand } from '../support/command.js'
import { buildOnce, startServer } from '../support/server.js'

const root = join(import.meta.dirname, '../..')
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-process-'))
  await buildOnce()
})
afterAll(() => rmSync(folder, { recursive: true }))

function run(
  program: string,
  settings: Record<string, string>,
  cwd = folder,
): SpawnSyncReturns<string> {
  const PATH = process.env['PATH'] ?? ''
  const env = { PATH, PORT: '0', ...settings }
  return spawnSync(process.execPath, [join(root, 'dist', program)], {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  })
}

describe('the process', () => {
  it('does not start with a wrong configuration, and says all of it in words', () => {
    const { status, stderr, stdout } = run('main.js', {
      HOST: '0.0.0.0',
      VERTEX_BAKUP_MODE: 'x',
      VERTEX_LOG_LEVEL: 'y',
    })
    expect(status).toBe(78)
    expect(stdout).toBe('')
    for (const name of ['HOST', 'VERTEX_BAKUP_MODE', 'VERTEX_BACKUP_MODE', 'VERTEX_LOG_LEVEL'])
      expect(stderr).toContain(name)
    expect(stderr).not.toMatch(/\bat \S+ \(|node:internal/)
  })

  it('generates its secrets once, apart from the data, for its owner only', async () => {
    const server = await startServer({ folder: join(folder, 'fresh'), settings: {} })
    const at = (name: string) => join(server.folder, name)
    for (const name of ['vertex-secret/backup-secret', 'vertex-secret/storage-key'])
      expect(statSync(at(name)).mode & 0o777).toBe(0o600)
    expect(server.output()).toContain('./vertex-secret/backup-secret')
    const secret = readFileSync(at('vertex-secret/backup-secret'), 'utf8')
    expect(server.output()).not.toContain(secret.trim())
    await server.stop()

    rmSync(at('data'), { recursive: true })
    const again = await startServer({ folder: server.folder, settings: {} })
    expect(readFileSync(at('vertex-secret/backup-secret'), 'utf8')).toBe(secret)
    await again.stop()

    rmSync(at('vertex-secret/storage-key'))
    const { status, stderr } = run('main.js', { VERTEX_ADMIN_TOKEN: 'x'.repeat(20) }, server.folder)
    expect([status, stderr]).toEqual([78, expect.stringContaining('VERTEX_STORAGE_KEY_FILE')])
    expect(existsSync(at('vertex-secret/storage-key'))).toBe(false)
  })

  it('does not start under another name, and says whose database it is', async () => {
    const server = await startServer({ folder: join(folder, 'named'), settings: {} })
    await server.stop()
    const settings = { VERTEX_ADMIN_TOKEN: 'x'.repeat(20), VERTEX_VAULT_NAME: 'another' }
    const { status, stderr } = run('main.js', settings, server.folder)
    expect([status, stderr]).toEqual([78, expect.stringContaining('belongs to the vault')])
  })

  it('generates an admin token into the data directory and says where, not which', async () => {
    const cwd = join(folder, 'token')
    mkdirSync(cwd)
    const { stdout } = await outputOf(cwd)
    expect(stdout).toContain('./data/admin-token')
    const path = join(cwd, 'data/admin-token')
    const token = readFileSync(path, 'utf8').trim()
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(stdout).not.toContain(token)
  })

  it('drains on SIGTERM: what is under way is answered, nothing new begins, the exit is clean', async () => {
    const server = await startServer({ folder: join(folder, 'drain') })
    const slow = slowRequest(server.url, await server.createUser('somebody'))
    await sleep(200)
    const ended = once(server.process, 'exit')
    const began = performance.now()
    server.process.kill('SIGTERM')
    await sleep(300)
    expect(server.process.exitCode).toBeNull()
    await expect(fetch(`${server.url}/readyz`)).rejects.toThrow()
    slow.finish()
    // The database was asked: it closes last.
    expect(await slow.answer).toContain('key_id_not_exists')
    expect(await ended).toEqual([0, null])
    expect(performance.now() - began).toBeLessThan(5000)
    await server.stop()
  })

  it('ends within 20 s even when a run waits for a party that never comes, and answers it', async () => {
    const settings = { VERTEX_RUN_DEADLINE: '120' }
    const server = await startServer({ folder: join(folder, 'deserted'), settings })
    const Authorization = await server.createUser('somebody')
    const ask = async (path: string, body?: object) => {
      const headers = { Authorization, 'Content-Type': 'application/json' }
      const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      const response = await fetch(server.url + path, { headers, ...sent })
      return (await response.json()) as Record<string, string>
    }
    const [mine, other] = [await ask('/ecdsa/create'), await ask('/ecdsa/create')]
    const { room_uuid } = await ask('/create-room', { room_size: 2 })
    const waiting = ask('/ecdsa/keygen', {
      key_id: mine['key_id'],
      room_uuid,
      num_parties: 2,
      threshold: 2,
      others_keygen_ids: [other['keygen_id']],
    })
    await sleep(300)
    const ended = once(server.process, 'exit')
    const began = performance.now()
    server.process.kill('SIGTERM')
    expect((await waiting)['err_type']).toBe('too_busy')
    expect(await ended).toEqual([0, null])
    expect(performance.now() - began).toBeLessThan(20_000)
    await server.stop()
  })

  it('opens no debugger for SIGUSR1, and stops at once when it is told twice', async () => {
    const server = await startServer({ folder: join(folder, 'twice') })
    server.process.kill('SIGUSR1')
    const slow = slowRequest(server.url, await server.createUser('somebody'))
    const lost = expect(slow.answer).rejects.toThrow()
    await sleep(200)
    const ended = once(server.process, 'exit')
    server.process.kill('SIGINT')
    await sleep(300)
    expect(server.process.exitCode).toBeNull()
    expect(server.output()).not.toContain('Debugger listening')
    server.process.kill('SIGINT')
    expect(await ended).toEqual([1, null])
    await lost
    await server.stop()
  })

  it('gives a restored database another generation', async () => {
    const server = await startServer({ folder: join(folder, 'restored') })
    const generation = async (url: string, key: string) => {
      const response = await fetch(`${url}/ecdsa/create`, { headers: { Authorization: key } })
      const body = (await response.json()) as { vault_identity: { generation: string } }
      return body.vault_identity.generation
    }
    const key = await server.createUser('somebody')
    const before = await generation(server.url, key)
    await server.stop()
    const { status, stdout } = vertexCommand(['restore', '--in-place'], server)
    expect([status, stdout]).toEqual([0, expect.stringContaining('new generation is')])
    const again = await startServer({ folder: server.folder })
    const after = await generation(again.url, key)
    expect(after).not.toBe(before)
    expect(stdout).toContain(after)
    await again.stop()
    const nowhere = vertexCommand(['restore', '--in-place'], { folder })
    expect(nowhere.stderr).toContain('there is no database here')
    expect(nowhere.status).toBe(1)
    expect(existsSync(join(folder, 'data'))).toBe(false)
  })
})

/** A request whose body comes slowly is under way for as long as one likes. */
function slowRequest(url: string, key: string): { answer: Promise<string>; finish: () => void } {
  const body = JSON.stringify({
    key_id: '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02',
    derivation_path: [],
  })
  const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length }
  const pending = request(`${url}/ecdsa/derive-pubkey`, {
    method: 'POST',
    headers: { Authorization: key, ...headers },
  })
  const answer = new Promise<string>((resolve, reject) => {
    pending.on('error', reject)
    pending.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => resolve(text))
    })
  })
  pending.write(body.slice(0, 3))
  return { answer, finish: () => pending.end(body.slice(3)) }
}

/** Starts without an admin token, as a newcomer does, and stops as soon as it listens. */
async function outputOf(cwd: string): Promise<{ stdout: string }> {
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, [join(root, 'dist/main.js')], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', PORT: '0' },
  })
  let stdout = ''
  child.stdout.setEncoding('utf8')
  await new Promise<void>((resolve) => {
    child.on('close', () => resolve())
    child.stdout.on('data', (text: string) => {
      stdout += text
      if (stdout.includes('"listening"')) child.kill('SIGTERM')
    })
  })
  return { stdout }
}
