import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './server.js'

/** A real Redis for tests, which keeps nothing on disk. */
export interface TestRedis {
  readonly url: string
  readonly port: number
  /** Runs one command of redis-cli and answers what it prints. */
  cli(...args: readonly string[]): string
  signal(signal: NodeJS.Signals): void
  /** kill -9. */
  kill(): Promise<void>
  /** Again at the same port, empty. */
  restart(): Promise<void>
  stop(): Promise<void>
}

const program = '/usr/bin/redis-server'

/** Why there is no Redis for tests on this machine; with CI=true there must be one. */
export function missingRedis(): string | undefined {
  if (existsSync(program) || process.env['CI'] === 'true') return undefined
  return 'no Redis: install the package redis-server'
}

/** What docs/operations/redis.md says a user of Redis needs, for ACL SETUSER. */
export function documentedRights(): string[] {
  const page = join(import.meta.dirname, '../../docs/operations/redis.md')
  const given = /ACL SETUSER vertex on >PASSWORD (.+)/.exec(readFileSync(page, 'utf8'))?.[1]
  if (given === undefined) throw new Error(`no ACL in ${page}`)
  return given.trim().split(' ')
}

/** @param options of redis-server, such as `--tls-port` */
export async function startRedis(options: readonly string[] = []): Promise<TestRedis> {
  const port = await freePort()
  let server: ChildProcess
  const start = async () => {
    const basics = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
    ]
    server = spawn(program, [...basics, ...options], { stdio: 'ignore', cwd: '/tmp' })
    process.once('exit', kill)
    for (let tries = 0; !(await answers(port)); tries++) {
      if (server.exitCode !== null || tries > 200)
        throw new Error('the Redis for tests did not start')
      await sleep(25)
    }
  }
  const kill = () => server.kill('SIGKILL')
  const end = async () => {
    process.off('exit', kill)
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    cli: (...args) => {
      const { stdout, stderr, status } = spawnSync('redis-cli', ['-p', String(port), ...args], {
        encoding: 'utf8',
      })
      if (status !== 0) throw new Error(`redis-cli failed: ${stderr}`)
      return stdout.trim()
    },
    signal: (signal) => server.kill(signal),
    kill: end,
    restart: async () => {
      await end()
      await start()
    },
    stop: end,
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
