import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFragilePostgres } from '../../test/support/postgres.js'
import { postgresFor, sqliteIn } from '../database.js'
import type { Plant } from '../control.js'
import { someKey } from '../operations.js'
import type { Random } from '../random.js'
import type { Scenario } from '../scenario.js'
import { judgeTrace, TRACED } from '../sync-trace.js'
import { World } from '../world.js'

export const synced: Scenario = {
  name: 'synced',
  about: 'strace: no answer leaves before what it acknowledges was synced',
  engines: ['sqlite', 'postgres'],
  short: ['sqlite'],
  missing: missingStrace,
  async open(lab, engine) {
    const folder = lab.folder()
    const own = join(folder, 'vault')
    const postgres = engine === 'postgres' ? await startFragilePostgres() : undefined
    const database = postgres === undefined ? sqliteIn(own) : await postgresFor(own, postgres)
    const world = await World.open({ folder: own, database })
    return {
      world,
      seeds: (random: Random) =>
        Array.from({ length: lab.short ? 1 : 3 }, () => random.below(2 ** 31)),
      async run() {
        await someKey(world)
        const writers = postgres === undefined ? [] : postgres.pids().filter(answersClients)
        const log = engine === 'sqlite' ? /vertex\.db(?:-wal)?$/ : /pg_wal/
        await traced(world, [world.server.process.pid!, ...writers], log)
        return world.ledger.take()
      },
      async close() {
        await world.close()
        await postgres?.stop()
      },
    }
  },
}

/** Why no process can be traced here; undefined when one can. */
function missingStrace(): string | undefined {
  if (process.getuid?.() !== 0) return 'tracing a running server needs root'
  const probe = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true'])
  if (probe.error !== undefined) return 'no strace'
  return probe.status === 0 ? undefined : 'strace may not trace here'
}

/** The processes of Postgres that write the log on nobody's behalf are left out. */
function answersClients(pid: number): boolean {
  const name = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  return !/writer|checkpointer|autovacuum|launcher/.test(name)
}

/** Makes keys while these processes are traced, and judges every answer. */
export async function traced(
  world: World,
  pids: readonly number[],
  log: RegExp,
  plant?: Plant,
): Promise<void> {
  const file = join(world.folder, 'trace')
  const strace = spawn(
    'strace',
    [
      '-f',
      '-y',
      '-s',
      '16',
      '-e',
      `trace=${TRACED}`,
      '-o',
      file,
      ...pids.flatMap((pid) => ['-p', String(pid)]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = once(strace, 'exit')
  let said = ''
  await new Promise<void>((attached, failed) => {
    strace.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString()
      if ((said.match(/ attached/g)?.length ?? 0) >= pids.length) attached()
    })
    strace.once('exit', () => failed(new Error(`strace ended: ${said}`)))
  })
  if (plant !== undefined) await world.control({ plant })
  const keys = 3
  for (let made = 0; made < keys; made++) await world.insist('create key', () => world.createKey())
  strace.kill('SIGINT')
  await ended
  const { answers, syncs, tooEarly } = judgeTrace(readFileSync(file, 'utf8'), (path) =>
    log.test(path),
  )
  for (const what of tooEarly) world.ledger.wrong(`it left before it was synced: ${what}`)
  // Keygen alone commits twice, once for the share and once for its confirmation.
  if (answers < 3 * keys || syncs < 2 * keys)
    world.ledger.wrong(`${answers} answers and ${syncs} syncs for ${keys} keys: too few`)
  for (let seen = 0; seen < answers; seen++) world.ledger.acknowledged()
}
