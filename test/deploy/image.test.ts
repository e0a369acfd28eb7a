import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { rootCertificates } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import pg from 'pg'
import { freePort, startServer } from '../../demo/server.js'
import { missingPostgres, startPostgres } from '../support/postgres.js'
import { missingRedis, startRedis } from '../support/redis.js'

const root = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** The instructions of a Dockerfile, continued lines joined, comments gone. */
function instructions(source: string): Instruction[] {
  return source
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, text] = /^(\w+)\s+(.*)$/.exec(line)!
      return { name: name!.toUpperCase(), text: text! }
    })
}

const dockerfile = instructions(read('Dockerfile'))
const named = (name: string, among = dockerfile) => among.filter((one) => one.name === name)
const lastStage = dockerfile.slice(dockerfile.findLastIndex(({ name }) => name === 'FROM'))
const firstStage = dockerfile.slice(0, dockerfile.length - lastStage.length)
const one = (name: string) => {
  const found = named(name, lastStage)
  expect(found, name).toHaveLength(1)
  return found[0]!.text
}
const secretWord = /(password|passwd|token|secret|credential|api_?key|private)/i

describe('the Dockerfile', () => {
  it('pins every image by tag and digest, Node 24 both times', () => {
    const images = named('FROM').map(({ text }) => text.split(' ')[0]!)
    expect(images).toHaveLength(2)
    for (const image of images) expect(image).toMatch(/^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/)
    expect(images[0]).toMatch(/^node:24\.\d+\.\d+-bookworm-slim@/)
    expect(images[1]).toMatch(/^gcr\.io\/distroless\/nodejs24-debian12:nonroot@/)
  })

  it('runs as a numbered user other than root, who owns nothing', () => {
    expect(one('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    for (const { text } of named('COPY', lastStage)) expect(text).toContain('--chown=0:0')
  })

  it('needs no shell where the service runs', () => {
    expect(named('RUN', lastStage)).toEqual([])
    expect(named('SHELL')).toEqual([])
    for (const text of [one('ENTRYPOINT'), one('HEALTHCHECK').replace(/^.*?CMD /, '')]) {
      const command = JSON.parse(text) as string[]
      expect(command[0]).toBe('/nodejs/bin/node')
    }
    expect(named('CMD', lastStage)).toEqual([])
  })

  it('fetches nothing by URL, and takes no secret at build time or as a default', () => {
    expect(named('ADD')).toEqual([])
    for (const { text } of named('RUN'))
      expect(text).not.toMatch(/curl|wget|https?:|sudo|\bnpm i\b/)
    for (const name of ['ARG', 'ENV', 'LABEL'])
      for (const { text } of named(name)) expect(text, name).not.toMatch(secretWord)
    for (const { text } of named('COPY', lastStage)) expect(text).toContain('--from=build')
  })

  it('cleans up what it installs for the build, and installs no more than it names', () => {
    const installs = named('RUN').filter(({ text }) => text.includes('apt-get install'))
    for (const { text } of installs) {
      expect(text).toContain('--no-install-recommends')
      expect(text).toContain('rm -rf /var/lib/apt/lists/*')
    }
    expect(named('RUN').filter(({ text }) => /\bnpm ci\b/.test(text))).toHaveLength(1)
  })

  it('asks for health and declares no volume', () => {
    expect(one('HEALTHCHECK')).toMatch(/--interval=\d+s --timeout=\d+s --start-period=\d+s/)
    expect(one('EXPOSE')).toBe('8080')
    expect(named('VOLUME')).toEqual([])
  })
})

interface Service {
  readonly image?: string
  readonly build?: string
  readonly user?: string
  readonly read_only?: boolean
  readonly cap_drop?: string[]
  readonly cap_add?: string[]
  readonly security_opt?: string[]
  readonly privileged?: boolean
  readonly ports?: string[]
  readonly environment?: Record<string, string>
  readonly ulimits?: { core?: number }
}
const { services, secrets } = parse(read('compose.yaml'), { merge: true }) as {
  services: Record<string, Service>
  secrets: Record<string, { file: string }>
}

describe('compose.yaml', () => {
  it('hardens every service', () => {
    expect(Object.keys(services).sort()).toEqual(['postgres', 'redis', 'vertex'])
    for (const [name, service] of Object.entries(services)) {
      expect(service.read_only, name).toBe(true)
      expect(service.cap_drop, name).toEqual(['ALL'])
      expect(service.cap_add, name).toBeUndefined()
      expect(service.security_opt, name).toEqual(['no-new-privileges:true'])
      expect(service.privileged, name).toBeUndefined()
      expect(service.ulimits?.core, name).toBe(0)
      expect(service.user, name).toMatch(/^(65532:65532|postgres|redis)$/)
      if (service.build === undefined) expect(service.image, name).toMatch(/@sha256:[0-9a-f]{64}$/)
    }
  })

  it('opens one port, to this machine only, and keeps secrets out of variables and of git', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? [])
    expect(ports).toEqual(['127.0.0.1:8080:8080'])
    for (const service of Object.values(services))
      for (const [name, value] of Object.entries(service.environment ?? {})) {
        if (secretWord.test(name)) expect(value, name).toMatch(/^\/run\/secrets\//)
        expect(value, name).not.toMatch(/:\/\/[^/@]*:[^/@]*@/)
      }
    for (const { file } of Object.values(secrets)) expect(file).toMatch(/^trial-secrets\//)
    expect(read('.gitignore').split('\n')).toContain('trial-secrets/')
  })
})

describe('TLS to the database of Azure', () => {
  it('is verified against authorities that Node brings along', () => {
    const names = rootCertificates.map((pem) => new X509Certificate(pem).subject)
    for (const name of ['DigiCert Global Root G2', 'Microsoft RSA Root Certificate Authority 2017'])
      expect(names.filter((subject) => subject.includes(`CN=${name}`))).toHaveLength(1)
  })
})

/** Whether .dockerignore lets a path into the build: the last line that matches decides. */
function isSent(path: string, lines: readonly string[]): boolean {
  let sent = true
  for (const line of lines) {
    const pattern = line.replace(/^!/, '')
    const expression = pattern
      .split('**/')
      .map((part) => part.replace(/[.]/g, '\\.').replace(/\*/g, '[^/]*'))
      .join('(.*/)?')
    if (new RegExp(`^${expression}(/|$)`).test(path)) sent = line.startsWith('!')
  }
  return sent
}

/** Every file, with its size, so that a change shows. */
function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${path} ${lstatSync(join(folder, path)).size}`)
    .sort()
}

describe('the image, laid out without Docker', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'vertex-image-'))
  const context = join(scratch, 'build')
  const image = join(scratch, 'image')
  let server: ChildProcess | undefined

  beforeAll(() => {
    chmodSync(scratch, 0o755)
    // What a clean checkout sends to the build, and the packages of this checkout in place of `npm ci`.
    const ignore = read('.dockerignore').split('\n')
    const lines = ignore.filter((line) => line !== '' && !line.startsWith('#'))
    const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
      cwd: root,
      encoding: 'utf8',
    }).split('\0')
    for (const path of tracked)
      if (path !== '' && existsSync(join(root, path)) && isSent(path, lines)) {
        mkdirSync(dirname(join(context, path)), { recursive: true })
        cpSync(join(root, path), join(context, path))
      }
    const modules = join(context, 'node_modules')
    mkdirSync(join(modules, '@vertex'), { recursive: true })
    for (const name of readdirSync(join(root, 'node_modules')))
      if (name !== '@vertex') symlinkSync(join(root, 'node_modules', name), join(modules, name))
    for (const name of ['directory', 'mpc', 'sdk'])
      symlinkSync(join(context, name), join(modules, '@vertex', name))

    for (const { text } of named('RUN', firstStage)) {
      if (/apt-get|npm ci/.test(text)) continue
      execFileSync('sh', ['-ec', text.replace(' /image', ` ${image}`)], { cwd: context })
    }
  }, 300_000)
  afterAll(() => {
    server?.kill('SIGKILL')
    rmSync(scratch, { recursive: true, force: true })
  })

  it('sends to the build what it needs and nothing that may hold secrets', () => {
    expect(existsSync(join(context, 'src/main.ts'))).toBe(true)
    for (const path of [
      '.git',
      'data',
      'vertex-secret',
      'trial-secrets',
      'test',
      'directory/test',
      'mpc/test',
      'terraform',
    ])
      expect(existsSync(join(context, path)), path).toBe(false)
    const lines = read('.dockerignore').split('\n')
    expect(isSent('sdk/node_modules/x/index.js', lines)).toBe(false)
    expect(isSent('.npmrc', lines)).toBe(false)
  })

  it('holds no tool of the build, no source and no test', () => {
    const modules = readdirSync(join(image, 'app/node_modules'))
    for (const name of ['typescript', 'vitest', 'esbuild', 'eslint', 'playwright-core'])
      expect(modules).not.toContain(name)
    const files = listing(join(image, 'app')).filter((file) => !file.startsWith('node_modules/'))
    expect(files.length).toBeGreaterThan(100)
    expect(files.filter((file) => /\.(ts|map|tsbuildinfo) \d+$/.test(file))).toEqual([])
  })

  it('runs as another user than the owner of its files, answers its own health check, and ends when told', async () => {
    const before = listing(image)
    const port = String(await freePort())
    const data = mkdtempSync(join(tmpdir(), 'vertex-image-data-'))
    const asRoot = process.getuid?.() === 0
    const identity = asRoot ? { uid: 65532, gid: 65532 } : {}
    if (asRoot) chownSync(data, 65532, 65532)
    // The image's own command and settings, with the paths and the Node of this machine.
    const here = (text: string) => text.replaceAll('/app/', `${image}/app/`)
    const [, ...command] = JSON.parse(here(one('ENTRYPOINT'))) as string[]
    const known = command.filter(
      (argument) => !argument.startsWith('-') || process.allowedNodeEnvironmentFlags.has(argument),
    )
    const settings = Object.fromEntries(
      one('ENV')
        .split(' ')
        .map((setting) => setting.split('=')),
    )
    const [, ...health] = JSON.parse(here(one('HEALTHCHECK').replace(/^.*?CMD /, ''))) as string[]
    const env = {
      PATH: process.env['PATH'],
      ...(settings as Record<string, string>),
      PORT: port,
      VERTEX_TLS: 'terminated-by-proxy',
      VERTEX_DATA_DIR: join(data, 'db'),
    }
    const healthy = async () => {
      const asked = spawn(process.execPath, health, { ...identity, env, cwd: '/' })
      const [code] = (await once(asked, 'exit')) as [number]
      return code === 0
    }
    expect(await healthy()).toBe(false)

    // Working directory: where the embedded default may write its secrets, which the image itself offers nowhere.
    server = spawn(process.execPath, known, { ...identity, env, cwd: data })
    let output = ''
    for (const stream of [server.stdout!, server.stderr!])
      stream.on('data', (bytes: Buffer) => (output += bytes.toString()))
    for (let tries = 0; !(await healthy()); tries++) {
      if (tries > 100 || server.exitCode !== null) throw new Error(`not healthy:\n${output}`)
      await sleep(100)
    }
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
    expect(await ready.json()).toMatchObject({ ready: true })
    expect((await fetch(`http://127.0.0.1:${port}/docs`)).status).toBe(200)
    expect(output).not.toContain('libsecp256k1 is not available')

    server.kill('SIGTERM')
    const [code] = (await once(server, 'exit')) as [number]
    expect(code).toBe(0)
    expect(await healthy()).toBe(false)
    expect(listing(image)).toEqual(before)
    rmSync(data, { recursive: true, force: true })
  })

  it.skipIf((missingPostgres() ?? missingRedis()) !== undefined)(
    'starts with the settings of compose.yaml, over the socket of Postgres and secrets in files',
    async () => {
      const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
      const folder = mkdtempSync(join(tmpdir(), 'vertex-compose-'))
      try {
        const database = new URL(await postgres.createDatabase())
        const client = new pg.Client({ connectionString: database.toString() })
        await client.connect()
        const { rows } = await client.query<{ socket: string }>(
          "SELECT current_setting('unix_socket_directories') AS socket",
        )
        await client.end()
        for (const name of Object.keys(secrets))
          writeFileSync(join(folder, name), randomBytes(32).toString('base64'))
        const given = services['vertex']!.environment!
        const here = (value: string) =>
          value
            .replace('redis://redis:6379', redis.url)
            .replace('/run/secrets', folder)
            .replace('/vertex?', `${database.pathname}?`)
            .replace('/var/run/postgresql', `${rows[0]!.socket}&port=${database.port}`)
        expect(here(given['DATABASE_URL']!)).toContain(database.port)
        expect(here(given['REDIS_URL']!)).toBe(redis.url)
        const running = await startServer({
          program: join(image, 'app/dist/main.js'),
          folder,
          port: await freePort(),
          settings: {
            NODE_ENV: 'production',
            HOST: '0.0.0.0',
            ...Object.fromEntries(
              Object.entries(given).map(([name, value]) => [name, here(value)]),
            ),
          },
        })
        expect(running.output()).toContain('the database is Postgres')
        expect(running.output()).toContain('redis_connected')
        await running.stop()
      } finally {
        rmSync(folder, { recursive: true, force: true })
        await redis.stop()
        await postgres.stop()
      }
    },
  )
})
