import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCheckpoint, parseLogProof, signCheckpoint } from '@vertex/directory/log'
import { primaryOfSigner, signEvent, type CheckedEvent } from '@vertex/directory/sigchain'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { parseSecret, StorageKey } from '../../../src/seal/index.js'
import { sql } from '../../store/engines.js'
import { vertexCommand } from '../../support/command.js'
import { freePort, startServer, type TestServer } from '../../support/server.js'

vi.setConfig({ testTimeout: 240_000 })

let folder: string
let server: TestServer
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-log-'))
  server = await startServer({ folder, port: await freePort() })
})
afterEach(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const me = { scheme: 'ed25519', secret: new Uint8Array(32).fill(9) } as const
const primary = primaryOfSigner(me)
const chain = () => `${server.url}/v1/sigchains/${primary.scheme}/${primary.id}`

/** Posts the next event, and answers it once it is acknowledged. */
async function post(head: CheckedEvent | undefined): Promise<CheckedEvent> {
  const subject = `device:${head === undefined ? 0 : head.seq + 1}`
  const { bytes, event } = signEvent(me, head, {
    op: 'add',
    subject,
    createdAt: new Date().toISOString(),
  })
  const answer = await fetch(`${chain()}/events`, { method: 'POST', body: Buffer.from(bytes) })
  expect(answer.status).toBe(201)
  return event
}

const checkpoint = async () => (await fetch(`${server.url}/log/checkpoint`)).text()
const proofOf = (seq: number) =>
  fetch(`${server.url}/log/proof/sigchain-event/${primary.text}/${seq}`)
const verify = (...more: string[]) => {
  const { status, stdout } = vertexCommand(['log', 'verify', '--json', ...more], { folder })
  return { status, ...(JSON.parse(stdout) as Record<string, unknown>) }
}

it('keeps what it has signed and acknowledged through crashes, and says what was rewritten', async () => {
  const kept: string[] = []
  let head: CheckedEvent | undefined
  for (let life = 0; life < 3; life++) {
    for (let i = 0; i < 8; i++) {
      head = await post(head)
      const text = await checkpoint()
      // Before the first look there is none.
      if (parseCheckpoint(text) === undefined) continue
      const file = join(folder, `${kept.length}.checkpoint`)
      writeFileSync(file, text)
      kept.push(file)
    }
    await server.kill()
    server = await startServer({ folder, port: server.port })
  }
  const last = head!.seq
  await vi.waitFor(async () => expect((await proofOf(last)).status).toBe(200), {
    timeout: 30_000,
    interval: 200,
  })
  for (let seq = 0; seq <= last; seq++) {
    const proof = parseLogProof(await (await proofOf(seq)).text())
    expect(proof, String(seq)).toBeDefined()
  }
  expect(kept.length).toBeGreaterThan(3)
  expect(verify('--checkpoint', ...kept)).toMatchObject({
    status: 0,
    ok: true,
    // And what the Vertex says of itself on a chain of its own.
    kinds: { 'sigchain-event': last + 2 },
    database: { rows: last + 2, erased: 0 },
  })

  const database = { kind: 'sqlite', dataDir: join(folder, 'data') } as const
  await sql(
    database,
    `UPDATE sigchain_events SET envelope_json = replace(envelope_json, 'device:5', 'device:6') WHERE primary_id = '${primary.id}' AND seq = 5`,
  )
  expect(verify()).toMatchObject({
    status: 1,
    ok: false,
    problem: 'row_changed',
    what: expect.stringContaining(`sigchain-event ${primary.text}/5`) as string,
  })
  await sql(
    database,
    `UPDATE sigchain_events SET envelope_json = replace(envelope_json, 'device:6', 'device:5') WHERE primary_id = '${primary.id}' AND seq = 5`,
  )
  expect(verify()).toMatchObject({ status: 0 })

  await sql(database, 'DROP TRIGGER audit_records_no_update')
  await sql(
    database,
    `UPDATE audit_records SET line = replace(line, '"actor":"server"', '"actor":"admin"') WHERE seq = 1`,
  )
  expect(verify()).toMatchObject({
    status: 1,
    problem: 'audit_changed',
    what: expect.stringMatching(/the first that does not fit is 1$/) as string,
  })
})

it('is another log after the database was put back, and a witness is not deceived', async () => {
  let head: CheckedEvent | undefined
  for (let i = 0; i < 3; i++) head = await post(head)
  await vi.waitFor(async () => expect((await proofOf(2)).status).toBe(200), { timeout: 30_000 })
  const key = (await (await fetch(`${server.url}/log/key`)).text()).trim()
  expect(vertexCommand(['log', 'key'], { folder }).stdout.trim()).toBe(key)
  const look = (verifier: string, ...more: string[]) =>
    vertexCommand(
      ['log', 'witness', `${server.url}/log`, '--key', verifier, '--state', 'seen', ...more],
      { folder },
    )
  expect(look(key).stdout).toContain('kept as the first checkpoint')
  const tileOf = async (verifier: string) => {
    const place = verifier.split('+')[0]!.split('/').at(-1)!
    return fetch(`${server.url}/log/${place}/tile/0/000.p/1`)
  }
  expect((await tileOf(key)).headers.get('cache-control')).toContain('immutable')
  await server.stop()
  expect(vertexCommand(['restore', '--in-place'], { folder }).status).toBe(0)
  server = await startServer({ folder, port: server.port })
  await vi.waitFor(async () => expect((await proofOf(2)).status).toBe(200), { timeout: 30_000 })
  expect(look(key)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('not in order') as string,
  })
  const other = vertexCommand(['log', 'key'], { folder }).stdout.trim()
  expect(other).not.toBe(key)
  expect(look(other, '--state', 'seen-2').status).toBe(0)
  // What a cache kept of the old log is at another address than anything of the new one.
  expect([(await tileOf(key)).status, (await tileOf(other)).status]).toEqual([404, 200])
  // By the address of the log itself, which is what other tools are given.
  const [at, before] = [other, key].map(
    (verifier) => `${server.url}/log/${verifier.split('+')[0]!.split('/').at(-1)!}`,
  )
  const published = (url: string, verifier: string) =>
    vertexCommand(['log', 'verify', url, '--key', verifier], { folder }).status
  expect(published(`${server.url}/log`, other)).toBe(0)
  expect(published(at!, other)).toBe(0)
  expect(published(before!, key)).toBe(69)
  expect(verify()).toMatchObject({ status: 0, kinds: { 'sigchain-event': 4 } })
  // One that does not answer, and command lines that are not right.
  expect(
    vertexCommand(['log', 'verify', 'http://127.0.0.1:9/log', '--key', key], { folder }).status,
  ).toBe(69)
  expect(vertexCommand(['log', 'verify', `${server.url}/log`], { folder }).status).toBe(2)
  expect(look('nonsense').status).toBe(2)

  // A log that had shown this witness another tree: both checkpoints lie beside the state.
  const storageKey = new StorageKey(
    parseSecret(readFileSync(join(folder, 'vertex-secret/storage-key'), 'utf8'), 'storage key'),
    'vertex',
  )
  const name = other.split('+')[0]!
  const seed = storageKey.logSeed(name.split('/').at(-1)!)
  const shownBefore = signCheckpoint({ size: 1, root: new Uint8Array(32) }, { name, seed })
  writeFileSync(join(folder, 'seen-3'), shownBefore)
  const split = look(other, '--state', 'seen-3', '--json')
  expect(split).toMatchObject({ status: 1 })
  const { problem, evidence } = JSON.parse(split.stdout) as { problem: string; evidence: string[] }
  expect(problem).toBe('split_view')
  expect(readFileSync(evidence[0]!, 'utf8')).toBe(shownBefore)
  expect(parseCheckpoint(readFileSync(evidence[1]!, 'utf8'))!.size).toBeGreaterThan(1)
  expect(readFileSync(join(folder, 'seen-3'), 'utf8')).toBe(shownBefore)
})

it('is not there without the directory', async () => {
  await server.stop()
  server = await startServer({ folder, settings: { VERTEX_DIRECTORY: 'off' } })
  expect((await fetch(`${server.url}/log/checkpoint`)).status).toBe(404)
})
