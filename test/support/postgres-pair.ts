import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { binaries, freePort, runOn, serverUser, untilReady } from './postgres.js'

/** A primary with a synchronous standby. */
export interface PostgresPair {
  /** Of the primary, whichever of the two it is. */
  readonly url: string
  /** kill -9 of the primary and all of its processes; then the standby answers at its address, promoted. */
  failOver(): Promise<void>
  stop(): Promise<void>
}

export async function startPostgresPair(): Promise<PostgresPair> {
  const bin = binaries()
  if (bin === undefined) throw new Error('no Postgres: install the package postgresql')
  const folder = mkdtempSync(join(tmpdir(), 'vertex-pair-'))
  const as = serverUser()
  if (as !== undefined) chownSync(folder, as.uid, as.gid)
  const options = { ...as, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } }
  const run = (program: string, ...args: readonly string[]) => {
    const { status, stderr } = spawnSync(join(bin, program), args, { ...options, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${program} failed: ${stderr}`)
  }
  const running = new Set<ChildProcess>()
  const start = (data: string, port: number) => {
    const settings = ['listen_addresses=127.0.0.1', 'fsync=on'].flatMap((each) => ['-c', each])
    const args = ['-D', data, '-p', String(port), '-k', folder, ...settings]
    const server = spawn(join(bin, 'postgres'), args, { ...options, stdio: 'ignore' })
    running.add(server)
    return server
  }
  const end = async (server: ChildProcess, signal: NodeJS.Signals) => {
    running.delete(server)
    if (server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill(signal)
    await exited
  }
  process.once('exit', () => {
    for (const server of running) server.kill('SIGINT')
  })

  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  const [port, standbyPort] = [await freePort(), await freePort()]
  const url = `postgres://vertex@127.0.0.1:${port}/postgres`
  run('initdb', '-D', first, '-U', 'vertex', '--auth=trust', '--encoding=UTF8', '--no-locale')
  const primary = start(first, port)
  await untilReady(url, primary)
  const source = `host=127.0.0.1 port=${port} user=vertex application_name=standby`
  run('pg_basebackup', '-d', source, '-D', second, '-R', '-X', 'stream', '-c', 'fast')
  const standby = start(second, standbyPort)
  await untilReady(`postgres://vertex@127.0.0.1:${standbyPort}/postgres`, standby)
  // After the copy was made, so that the standby waits for nobody when it is promoted.
  await runOn(url, [
    `ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby)'`,
    'SELECT pg_reload_conf()',
  ])
  await untilSynchronous(url)

  return {
    url,
    failOver: async () => {
      const all = childrenOf(primary.pid!)
      const killed = end(primary, 'SIGKILL')
      for (const pid of all)
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It has ended with the others.
        }
      await killed
      await end(standby, 'SIGINT')
      const promoted = start(second, port)
      await untilReady(url, promoted)
      run('pg_ctl', 'promote', '-D', second, '-w')
    },
    stop: async () => {
      await Promise.all([...running].map((server) => end(server, 'SIGQUIT')))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function untilSynchronous(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (let tries = 0; ; tries++) {
    const { rows } = await client.query<{ sync_state: string }>(
      'SELECT sync_state FROM pg_stat_replication',
    )
    if (rows.some(({ sync_state }) => sync_state === 'sync')) break
    if (tries > 200) throw new Error('the standby for tests is not synchronous')
    await sleep(50)
  }
  await client.end()
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // After the name, which may hold anything: state and parent.
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
      } catch {
        return false
      }
    })
}
