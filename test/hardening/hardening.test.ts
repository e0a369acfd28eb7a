import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyCoreDumps, openings } from '../../src/hardening.js'
import { buildOnce, startServer } from '../support/server.js'

const root = join(import.meta.dirname, '../..')
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-hardening-'))
  await buildOnce()
})
afterAll(() => rmSync(folder, { recursive: true }))

const withOptions = (options: string) => openings({ env: { NODE_OPTIONS: options }, execArgv: [] })

describe('what opens a process up', () => {
  it.each([
    '--inspect',
    '--inspect=0.0.0.0:9229',
    '--inspect-brk',
    '--inspect_brk',
    '--require=/tmp/x.cjs',
    '-r /tmp/x.cjs',
    '--import=data:text/javascript,0',
    '--loader=x',
    '--heapsnapshot-signal=SIGUSR2',
    '--heap-prof',
    '--report-on-fatalerror',
    '--abort-on-uncaught-exception',
    '--tls-keylog=/tmp/keys',
    '--cpu-prof',
    '--env-file=/tmp/env',
    '--max-old-space-size=100 --inspect',
    '"--inspect"',
    '--max-old-space-size=100\t--inspect',
  ])('%s is found', (options) => {
    expect(withOptions(options)).not.toEqual([])
    expect(openings({ env: {}, execArgv: options.split(/\s/) })).not.toEqual([])
  })

  it('sizes are harmless', () => {
    expect(withOptions('')).toEqual([])
    expect(withOptions(' --max-old-space-size=4096  --max_semi_space_size=64 ')).toEqual([])
    expect(openings({ env: {}, execArgv: ['--disable-sigusr1'] })).toEqual([])
  })

  it('variables count as well', () => {
    for (const env of [
      { NODE_DEBUG: 'http' },
      { NODE_V8_COVERAGE: '/tmp' },
      { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    ])
      expect(openings({ env, execArgv: [] })).toHaveLength(1)
  })

  it('is told without its value', () => {
    expect(withOptions('--require=/home/me/secret-place.cjs').join()).not.toContain('secret-place')
    expect(withOptions('-r /home/me/secret-place.cjs').join()).not.toContain('secret-place')
  })
})

describe('core dumps', () => {
  it.runIf(process.platform === 'linux')('hold no memory of a server', async () => {
    const server = await startServer({ folder: join(folder, 'cores') })
    const filter = readFileSync(`/proc/${server.process.pid!}/coredump_filter`, 'utf8').trim()
    await server.stop()
    expect(Number.parseInt(filter, 16)).toBe(0)
  })

  it('are a problem where the filter is missing, or keeps what it was', () => {
    expect(emptyCoreDumps(join(folder, 'not/there'))).toContain('core dump')
    expect(emptyCoreDumps('/dev/null')).toContain('core dump')
    const file = join(folder, 'filter')
    writeFileSync(file, '00000033')
    expect(emptyCoreDumps(file)).toBeUndefined()
  })
})

describe('in production', () => {
  const start = (env: Record<string, string>, ...execArgv: string[]) =>
    spawnSync(process.execPath, [...execArgv, join(root, 'dist/main.js')], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', PORT: '0', NODE_ENV: 'production', ...env },
      encoding: 'utf8',
      timeout: 30_000,
    })

  it('a server that is open to others does not start, and says why', () => {
    const byVariable = start({ NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR2', NODE_DEBUG: 'http' })
    expect([byVariable.status, byVariable.stdout]).toEqual([78, ''])
    expect(byVariable.stderr).toContain('NODE_OPTIONS: --heapsnapshot-signal')
    expect(byVariable.stderr).toContain('NODE_DEBUG')
    const byOption = start({}, '--report-on-fatalerror')
    expect([byOption.status, byOption.stdout]).toEqual([78, ''])
    expect(byOption.stderr).toContain('--report-on-fatalerror')
  })

  it('one that is not starts', async () => {
    const settings = { NODE_ENV: 'production', NODE_OPTIONS: '--max-old-space-size=1024' }
    const server = await startServer({ folder: join(folder, 'production'), settings })
    const ended = once(server.process, 'exit')
    await server.stop()
    expect(await ended).toEqual([0, null])
    expect(server.output()).not.toContain('not allowed')
  })

  it('elsewhere it starts and warns', async () => {
    const settings = { NODE_OPTIONS: '--trace-warnings' }
    const server = await startServer({ folder: join(folder, 'elsewhere'), settings })
    await server.stop()
    expect(server.output()).toContain('NODE_OPTIONS: --trace-warnings is not allowed in production')
  })
})

describe('the list of what is allowed', () => {
  it('is in the documentation, all of it', () => {
    const page = readFileSync(join(root, 'docs/operations/hardening.md'), 'utf8')
    const listed = /Allowed are only ([\s\S]*?), each written/.exec(page)![1]!
    const names = [...listed.matchAll(/`(--[\w-]+)`/g)].map(([, name]) => name!)
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) expect(withOptions(name)).toEqual([])
    const source = readFileSync(join(root, 'src/hardening.ts'), 'utf8')
    const inCode = [...source.matchAll(/^ {2}'(--[\w-]+)',$/gm)].map(([, name]) => name!)
    expect([...names].sort()).toEqual(inCode.sort())
  })
})
