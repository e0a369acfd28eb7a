import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  type PathLike,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  decodeResponse,
  decodeStatus,
  decodeTopology,
  encodeShareRequest,
} from '@vertex/directory/share'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  configText,
  ServiceProblem,
  ShareService,
  unitText,
  type Run,
} from '../../src/cli/share/service.js'
import { readShareFile, ShareConfigError } from '../../src/share-config.js'
import { contactPayload } from '../directory/share/payloads.js'
import { buildOnce, freePort } from '../support/server.js'
import { vertex } from './support/run.js'

const program = join(import.meta.dirname, '../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'vertex-share-cli-'))
beforeAll(() => buildOnce())
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const share = (...words: string[]) => vertex(['directory', 'share', ...words])
const at = (name: string) => join(folder, name)

/** Starts the program itself and waits until it listens. */
async function start(...words: string[]) {
  const child = spawn(process.execPath, [program, 'directory', 'share', ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '' },
  })
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>
  let output = ''
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (text: string) => {
      output += text
      const found = /"event":"listening","url":"([^"]+)"/.exec(output)
      if (found !== null) resolve(found[1]!)
    }
    child.stdout.setEncoding('utf8').on('data', hear)
    child.stderr.setEncoding('utf8').on('data', hear)
    void exit.then(() => reject(new Error(`it ended: ${output}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    return exit
  }
  const kill = async () => {
    child.kill('SIGKILL')
    await exit
  }
  return { url, stop, kill }
}

describe('vertex directory share', () => {
  it.each([
    [['--nope'], 'error: unknown option `--nope`'],
    [['run', '--nope'], 'error: unknown option `--nope`'],
    [['nope'], 'error: unknown command `nope`'],
    [['constructor'], 'error: unknown command `constructor`'],
    [['run', '--bind'], 'error: missing value for --bind'],
    [['run', '--bind', 'nonsense'], 'error: --bind must be HOST:PORT, such as 127.0.0.1:7878'],
    [['resync-peer'], 'error: missing --peer-url'],
    [
      ['resync-peer', '--peer-url', 'https://peer.example/v1/replicate'],
      'error: replication_token is required for resync',
    ],
    [['status', '--verbose'], 'error: unknown option `--verbose`'],
    [
      ['bench-store', '--requests', 'many'],
      'error: --requests: must be a whole number up to 10000000',
    ],
    [['run', '--config', '/nowhere/at.all'], 'error: /nowhere/at.all cannot be read (ENOENT)'],
  ])('ends %j as the original does', async (words, said) => {
    const { exit, stdout, stderr } = await share(...words)
    expect([exit, stdout, stderr]).toEqual([1, '', `${said}\n`])
  })

  it('names the line of a file that is wrong', async () => {
    const path = at('wrong.toml')
    writeFileSync(path, '# mine\nserver_id = 0\nservr_id = 1\n')
    const { exit, stderr } = await share('run', '--config', path)
    expect([exit, stderr]).toEqual([1, `error: ${path}:3: unknown config key \`servr_id\`\n`])
  })

  it('says so in JSON where that is asked for', async () => {
    const { exit, stderr } = await vertex(['--json', 'directory', 'share', '--nope'])
    expect(exit).toBe(1)
    expect(JSON.parse(stderr)).toEqual({
      error: { code: 'settings', message: 'unknown option `--nope`' },
    })
  })

  it.each([['help'], ['--help'], ['-h'], ['run', '--help']])(
    'has a help that names everything: %s',
    async (...words) => {
      const { exit, stdout } = await share(...words)
      expect(exit).toBe(0)
      const original = readFileSync(
        join(import.meta.dirname, '../config/share-options.txt'),
        'utf8',
      )
      for (const flag of original.trim().split('\n')) expect(stdout).toContain(flag)
      for (const command of ['install [--force-config]', 'uninstall [--purge-data]', 'status'])
        expect(stdout).toContain(`vertex directory share ${command}`)
    },
  )

  it('serves what its file says, and ends in order', async () => {
    const config = at('a.toml')
    writeFileSync(
      config,
      `bind_addr = "127.0.0.1:0"\nstate_dir = "${at('state')}"\nserver_id = z # the last\n`,
    )
    const server = await start('run', '--config', config, '--cluster-id', 'mine')
    const response = await fetch(`${server.url}/v1/topology`)
    const topology = decodeTopology(new Uint8Array(await response.arrayBuffer()))
    expect(topology).toMatchObject({ cluster: 'mine', servers: [{ id: 35 }] })
    expect(existsSync(join(folder, 'state/key-server.db'))).toBe(true)
    expect(await server.stop()).toEqual([0, null])
  })

  it('runs where no command is named', async () => {
    const server = await start('--bind', '127.0.0.1:0', '--db', at('plain.db'))
    expect((await fetch(`${server.url}/nothing`)).status).toBe(404)
    expect(await server.stop()).toEqual([0, null])
  })

  it('names the flag when somebody else has the port, or the database', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const bind = `127.0.0.1:${(other.address() as AddressInfo).port}`
    const clash = await share('--bind', bind, '--db', at('clash.db'))
    other.close()
    expect([clash.exit, clash.stdout]).toEqual([78, ''])
    expect(clash.stderr).toContain(`cannot listen on ${bind}`)
    expect(clash.stderr).toContain('--bind')
    const words = ['--bind', '127.0.0.1:0', '--state-dir', at('held')]
    const server = await start(...words)
    const held = await share(...words)
    expect([held.exit, held.stderr]).toEqual([78, expect.stringContaining('--state-dir')])
    await server.stop()
  })

  it('says where there is nothing to tell a peer of', async () => {
    const { exit, stderr } = await share(
      ...['resync-peer', '--replication-token', 'a token', '--state-dir', at('empty')],
      ...['--peer-url', 'http://127.0.0.1:1/v1/replicate'],
    )
    expect([exit, stderr]).toEqual([78, expect.stringContaining('--state-dir')])
  })

  it('tells a peer of what there is, while it serves', async () => {
    const token = ['--replication-token', 'a token']
    const peer = await start('--bind', '127.0.0.1:0', '--db', at('peer.db'), ...token)
    const server = await start('--bind', '127.0.0.1:0', '--db', at('own.db'), ...token)
    const { exit, stdout } = await share(
      ...['resync-peer', '--db', at('own.db'), ...token],
      ...['--peer-url', `${peer.url}/v1/replicate`],
    )
    expect([exit, stdout]).toEqual([0, 'resynced_live_shares=0\n'])
    await server.stop()
    await peer.stop()
  })

  it('tells a peer what it had acknowledged before it was killed', async () => {
    const port = await freePort()
    const token = ['--replication-token', 'a token']
    const words = [
      ...['--bind', '127.0.0.1:0', '--db', at('killed.db'), ...token],
      ...['--replication-peer-url', `http://127.0.0.1:${port}/v1/replicate`],
    ]
    const first = await start(...words)
    const body = encodeShareRequest({ ttlSeconds: 0, maxFetches: 1, payload: contactPayload() })
    const answer = await fetch(`${first.url}/v1/share`, { method: 'POST', body: Buffer.from(body) })
    const shared = decodeResponse(new Uint8Array(await answer.arrayBuffer()))
    expect(shared.status).toBe(0)
    await first.kill()

    const peer = await start('--bind', `127.0.0.1:${port}`, '--db', at('survivor.db'), ...token)
    const second = await start(...words)
    const live = async () => {
      const status = await fetch(`${peer.url}/v1/status`)
      return decodeStatus(new Uint8Array(await status.arrayBuffer())).live
    }
    await vi.waitFor(async () => expect(await live()).toBe(1n), { timeout: 40_000, interval: 200 })
    await second.stop()
    await peer.stop()
  })

  it.each([
    ['bench-store', ['store_create_ops_per_second', 'store_fetch_ops_per_second']],
    ['bench-http', ['http_single_request_share_rps']],
    ['bench-http-fetch', ['http_single_request_fetch_rps']],
    ['bench-http-flow', ['http_single_request_flow_rps', 'http_single_request_total_rps']],
  ])('measures with %s, and leaves nothing behind', async (command, names) => {
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('vertex-share-bench'))
    const before = left()
    const words = ['--requests', '12', '--concurrency', '3', '--preload-shares', '2']
    const { exit, stdout } = await share(command, ...words)
    expect(exit).toBe(0)
    const shown = new Map(
      stdout
        .trim()
        .split(' ')
        .map((pair) => pair.split('=') as [string, string]),
    )
    for (const name of names) expect(Number(shown.get(name))).toBeGreaterThan(0)
    expect(shown.get('concurrency')).toBe('3')
    expect(left()).toEqual(before)
  })

  it.skipIf(process.getuid?.() !== 0)('installs nothing for who is not root', () => {
    for (const words of [['install'], ['uninstall', '--purge-data']]) {
      const { status, stderr } = spawnSync(
        process.execPath,
        [program, 'directory', 'share', ...words],
        { uid: 65_534, gid: 65_534, encoding: 'utf8', env: {} },
      )
      expect([status, stderr]).toEqual([1, 'error: install/uninstall must be run as root\n'])
    }
  })

  it('says how the service is', async () => {
    const { exit, stdout } = await share('status')
    expect(exit).toBe(0)
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
    expect(names).toEqual([
      ...['unit_path', 'unit_installed', 'unit_enabled', 'unit_active', 'config_path'],
      ...['config_exists', 'state_path', 'state_exists', 'service_log', 'foreground_log'],
      'unit_exec_start',
    ])
  })
})

describe('the service of share codes', () => {
  const here = { node: '/usr/bin/node', main: '/opt/vertex/dist/cli/main.js' }
  const [uid, gid] = [process.getuid!(), process.getgid!()]
  let roots = 0

  /** A machine of which one folder is all there is, and whose programs only say what they were asked. */
  const machine = (users: string[] = []) => {
    const root = at(`root-${++roots}`)
    const ran: string[] = []
    const run: Run = (name, args) => {
      ran.push([name, ...args].join(' '))
      if (name === 'useradd') users.push(args.at(-1)!)
      if (name === 'id' && !users.includes(args[1]!)) return { status: 1, stdout: '' }
      const stdout = args[0] === '-u' ? `${uid}\n` : args[0] === '-g' ? `${gid}\n` : ''
      return { status: 0, stdout }
    }
    const service = new ShareService(here, run, root)
    const inside = (path: string) => join(root, path)
    return { service, ran, inside, run, root }
  }
  const unit = 'etc/systemd/system/lockbox-key-server.service'
  const config = 'etc/lockbox/key-server.toml'

  it('is set up where the documents say, and started', () => {
    const { service, ran, inside } = machine()
    service.install(false)
    expect(readFileSync(inside(unit), 'utf8')).toBe(unitText(here))
    expect(readFileSync(inside(config), 'utf8')).toBe(configText)
    expect(statSync(inside(config)).mode & 0o777).toBe(0o640)
    for (const path of ['lib', 'cache', 'log'])
      expect(statSync(inside(`var/${path}/lockbox-key-server`)).mode & 0o777).toBe(0o750)
    expect(ran.filter((line) => line.startsWith('systemctl'))).toEqual([
      'systemctl daemon-reload',
      'systemctl enable lockbox-key-server.service',
      'systemctl restart lockbox-key-server.service',
    ])
    expect(ran.some((line) => /^useradd --system .*lockbox-share$/.test(line))).toBe(true)
  })

  it('owns what it writes, but not where root writes for it', () => {
    const { run, root } = machine(['lockbox-share'])
    const asService: Run = (name, args) => {
      const answer = run(name, args)
      return args[0] === '-u' || args[0] === '-g' ? { ...answer, stdout: '4711\n' } : answer
    }
    const owners: Record<string, readonly number[]> = {}
    const chown = (path: PathLike, ...owner: number[]) => {
      owners[String(path).slice(root.length)] = owner
    }
    new ShareService(here, asService, root, chown).install(false)
    expect(owners).toEqual({
      '/var/lib/lockbox-key-server': [4711, 4711],
      '/var/cache/lockbox-key-server': [4711, 4711],
      '/var/log/lockbox-key-server': [uid, 4711],
      '/etc/lockbox/key-server.toml': [uid, 4711],
    })
    expect(unitText(here)).not.toMatch(/^ReadWritePaths=.*log/m)
  })

  it('keeps a file of settings that is there, unless it is told not to', () => {
    const { service, ran, inside } = machine(['lockbox-share'])
    mkdirSync(dirname(inside(config)), { recursive: true })
    writeFileSync(inside(config), 'server_id = 7\n')
    chmodSync(inside(config), 0o600)
    service.install(false)
    expect(readFileSync(inside(config), 'utf8')).toBe('server_id = 7\n')
    expect(statSync(inside(config)).mode & 0o777).toBe(0o600)
    service.install(true)
    expect(readFileSync(inside(config), 'utf8')).toBe(configText)
    expect(ran.some((line) => line.startsWith('useradd'))).toBe(false)
  })

  it('is taken away, its data only where that is said', () => {
    const { service, inside, ran } = machine()
    service.install(false)
    writeFileSync(inside('var/lib/lockbox-key-server/key-server.db'), 'shares')
    service.uninstall(false)
    expect(existsSync(inside(unit))).toBe(false)
    expect(existsSync(inside(config))).toBe(true)
    expect(existsSync(inside('var/lib/lockbox-key-server/key-server.db'))).toBe(true)
    service.uninstall(true)
    for (const path of [
      config,
      'etc/lockbox',
      ...['lib', 'cache', 'log'].map((each) => `var/${each}/lockbox-key-server`),
    ])
      expect(existsSync(inside(path)), path).toBe(false)
    expect(existsSync(inside('var/lib'))).toBe(true)
    expect(ran).toContain('systemctl disable lockbox-key-server.service')
  })

  it('leaves what others have in its folder', () => {
    const { service, inside } = machine()
    service.install(false)
    writeFileSync(inside('etc/lockbox/other.toml'), 'not ours')
    service.uninstall(true)
    expect(readdirSync(inside('etc/lockbox'))).toEqual(['other.toml'])
  })

  it('says what could not be done', () => {
    const { run, root } = machine()
    const failing: Run = (name, args) =>
      args[0] === 'enable' ? { status: 3, stdout: '' } : run(name, args)
    expect(() => new ShareService(here, failing, root).install(false)).toThrow(
      new ServiceProblem('systemctl enable lockbox-key-server.service failed with 3'),
    )
    const without: Run = (name, args) =>
      name === 'systemctl' ? { status: null, stdout: '' } : run(name, args)
    expect(() => new ShareService(here, without, root).install(false)).toThrow(
      /systemctl daemon-reload could not be started/,
    )
  })

  it('says how it is', () => {
    const { service } = machine()
    expect(service.status()).toMatchObject({ unit_installed: false, config_exists: false })
    service.install(false)
    expect(service.status()).toMatchObject({
      unit_path: `/${unit}`,
      unit_installed: true,
      unit_active: 'unknown',
      config_path: `/${config}`,
      config_exists: true,
      state_exists: true,
    })
  })

  it('has a file of settings that is read, every line of it and those that are commented out', () => {
    const read = (text: string) => readShareFile('key-server.toml', () => text)
    expect(read(configText)).toMatchObject({ bind: '127.0.0.1:8089', serverId: 0 })
    const all = configText
      .replace(/^# (?=\w+ = )/gm, '')
      .replace(/^verification_email_command.*$/m, '')
    expect(read(all)).toMatchObject({
      db: 'postgres://user:password@host/database',
      smtp: { from: 'keys@example.com' },
      publicUrl: 'https://keyshare.example.com/v1/share',
    })
    expect(() => read(`${configText}\nnope = 1`)).toThrow(ShareConfigError)
  })

  const systemd = '/usr/bin/systemd-analyze'
  const verify = (name: string, text: string) => {
    const path = at(`${name}.service`)
    writeFileSync(path, text)
    const { status, stderr } = spawnSync(systemd, ['verify', '--man=no', path], {
      encoding: 'utf8',
    })
    return [status, stderr.split('\n').filter((line) => line.includes(name))] as const
  }

  it.skipIf(!existsSync(systemd))('has a unit that systemd takes', () => {
    const real = { node: process.execPath, main: program }
    expect(verify('lockbox-key-server', unitText(real))).toEqual([0, []])
    const odd = join(folder, 'with space $HOME 50%')
    mkdirSync(odd)
    const node = join(odd, 'node')
    writeFileSync(node, '#!/bin/sh\n', { mode: 0o755 })
    expect(verify('lockbox-odd', unitText({ node, main: join(odd, 'main "it".js') }))).toEqual([
      0,
      [],
    ])
    const [, said] = verify(
      'lockbox-broken',
      unitText(real).replace('Type=simple', 'Type=nonsense'),
    )
    expect(said.join('\n')).toContain('nonsense')
  })

  it('sees its own program where that is in somebody’s home', () => {
    expect(unitText(here)).toContain('ProtectHome=true')
    expect(unitText({ ...here, main: '/home/a/vertex/main.js' })).toContain('ProtectHome=read-only')
  })
})
