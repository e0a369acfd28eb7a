import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, statSync } from 'node:fs'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore, type Database } from '../../src/store/index.js'
import { buildChild } from './child-process.js'
import { clock, engines, sql, storageKey, testSeal } from './engines.js'

let child: string
beforeAll(async () => {
  child = await buildChild()
})
afterAll(() => rmSync(child, { force: true }))

const rowSeal = testSeal(storageKey)

/** Starts the child and kills it after some commits. Answers what it had acknowledged. */
async function killedWhileCommitting(database: Database, afterMs: number) {
  const args = [child, JSON.stringify(database), 'forever']
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  let started: () => void
  const begun = new Promise<void>((resolve) => (started = resolve))
  process_.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    if (output.includes('key ')) started()
  })
  await Promise.race([begun, once(process_, 'exit')])
  await sleep(afterMs)
  process_.kill('SIGKILL')
  await once(process_, 'close')
  const lines = output.split('\n').slice(0, -1)
  const of = (what: string) =>
    lines.flatMap((line) => (line.startsWith(what) ? [line.slice(what.length)] : []))
  return { userId: of('user ')[0]!, keyIds: of('key ') }
}

describe.each(engines)('durability on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('of what was acknowledged', () => {
    afterAll(() => engine.cleanUp())

    it('survives kill -9 in the middle of commits', async () => {
      const database = await engine.create()
      let acknowledged = 0
      for (const afterMs of [60, 200]) {
        const { userId, keyIds } = await killedWhileCommitting(database, afterMs)
        acknowledged += keyIds.length
        const store = await openStore({ database, rowSeal, clock })
        const keys = await store.run((uow) => uow.handles.listForUser(userId))
        const found = new Map(keys.map((key) => [key.handle.keyId, key.share.shareId]))
        expect(keyIds.filter((keyId) => !found.has(keyId))).toEqual([])
        for (const keyId of keyIds.slice(-3)) {
          const record = await store.run((uow) => uow.shares.open(userId, found.get(keyId)!))
          expect(record).toHaveLength(300)
        }
        await store.close()
      }
      expect(acknowledged).toBeGreaterThan(5)
      if (database.kind === 'sqlite')
        expect(await sql(database, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    })
  })
})

/** Undefined when system calls can be counted here. With CI=true a missing strace fails. */
const missingStrace = (() => {
  const probe = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true'])
  if (probe.status === 0) return undefined
  if (probe.error !== undefined && process.env['CI'] === 'true') return undefined
  return probe.error === undefined ? 'strace may not trace here' : 'no strace'
})()

describe('the disk under SQLite', () => {
  const sqlite = engines[0]!
  afterAll(() => sqlite.cleanUp())

  const suffix = missingStrace === undefined ? '' : ` (skipped: ${missingStrace})`
  it.skipIf(missingStrace !== undefined)(`is synced at every commit${suffix}`, async () => {
    const database = await sqlite.create()
    const syncs = (commits: number) => {
      const log = `${child}.strace`
      const strace = ['-f', '--seccomp-bpf', '-qq', '-e', 'trace=fsync,fdatasync', '-o', log]
      const args = [...strace, process.execPath, child, JSON.stringify(database), String(commits)]
      const { status, stderr } = spawnSync('strace', args, { encoding: 'utf8' })
      expect(stderr).toBe('')
      expect(status).toBe(0)
      const count = readFileSync(log, 'utf8').match(/f(data)?sync\(/g)?.length ?? 0
      rmSync(log)
      return count
    }
    syncs(0)
    const none = syncs(0)
    expect(syncs(20) - none).toBeGreaterThanOrEqual(20)
  })

  it('holds files that only their owner can read, in a directory only the owner can enter', async () => {
    const database = await sqlite.create()
    if (database.kind !== 'sqlite') throw new Error('not SQLite')
    const store = await openStore({ database, rowSeal, clock })
    const mode = (path: string) => statSync(path).mode & 0o777
    expect(mode(database.dataDir)).toBe(0o700)
    for (const name of ['vertex.db', 'vertex.db-wal', 'vertex.db-shm', 'vertex.lock'])
      expect(mode(join(database.dataDir, name))).toBe(0o600)
    await store.close()
  })

  it('is used by one process at a time, and the second is told which directory', async () => {
    const database = await sqlite.create()
    if (database.kind !== 'sqlite') throw new Error('not SQLite')
    const store = await openStore({ database, rowSeal, clock })
    const refused = spawnSync(process.execPath, [child, JSON.stringify(database), '1'], {
      encoding: 'utf8',
    })
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain(
      `the data directory ${database.dataDir} is in use by another process`,
    )
    await expect(openStore({ database, rowSeal, clock })).rejects.toThrow('in use')
    // Copies can be made meanwhile.
    await sql(database, `VACUUM INTO '${join(database.dataDir, 'copy.db')}'`)
    await store.close()
    const next = await openStore({ database, rowSeal, clock })
    await next.close()
  })
})
