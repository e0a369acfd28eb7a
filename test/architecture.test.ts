import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** What the files of a place may import besides each other. `node:` stands for every module of Node. */
interface Place {
  readonly files: string
  readonly except?: readonly string[]
  readonly mayImport: readonly string[]
}

const places: readonly Place[] = [
  { files: 'mpc/src', mayImport: ['@noble', 'mpc/kernel'] },
  { files: 'mpc/kernel', mayImport: ['mpc/src', '@noble'] },
  {
    files: 'mpc/native',
    mayImport: ['@noble', 'mpc/src', 'mpc/kernel', '@vertex/mpc', 'node:', 'secp256k1'],
  },
  {
    files: 'directory/src',
    mayImport: ['@noble', '@scure/base', '@hpke/core', '@cloudflare/blindrsa-ts', 'canonicalize'],
  },
  { files: 'src/vault', mayImport: ['@vertex/mpc', 'node:crypto'] },
  {
    files: 'src/store',
    mayImport: [
      'src/vault',
      'typeorm',
      'better-sqlite3',
      'pg',
      'pg-boss',
      'reflect-metadata',
      'node:',
    ],
  },
  {
    files: 'src/seal',
    mayImport: [
      'src/vault',
      'src/error-code.ts',
      'src/new-file.ts',
      '@vertex/mpc',
      '@vertex/directory/sealed',
      '@noble',
      '@azure/identity',
      '@azure/keyvault-secrets',
      'node:',
    ],
  },
  { files: 'src/rates', mayImport: ['src/vault', 'rate-limiter-flexible'] },
  { files: 'src/audit', mayImport: ['src/vault', 'src/error-code.ts', 'node:'] },
  {
    files: 'src/bundle',
    mayImport: ['src/seal', 'src/store/bundled.ts', '@vertex/mpc', '@noble', 'node:'],
  },
  { files: 'src/engine', mayImport: ['src/vault', '@vertex/mpc', 'node:'] },
  { files: 'src/redis', mayImport: ['src/error-code.ts', '@redis/client', 'node:'] },
  {
    files: 'src/relay',
    mayImport: ['src/vault', 'src/redis/index.ts', 'src/network.ts', '@vertex/mpc', 'ws', 'node:'],
  },
  {
    files: 'src/directory',
    mayImport: [
      '@vertex/directory',
      'src/store/index.ts',
      'src/store/columns.ts',
      'src/vault/ports.ts',
      'typeorm',
      'node:crypto',
      'node:timers',
    ],
  },
  {
    files: 'src/http',
    mayImport: [
      'src/vault',
      'src/directory/system.ts',
      '@vertex/directory/json',
      'src/error-code.ts',
      'src/network.ts',
      'src/new-file.ts',
      'express',
      'helmet',
      'zod',
      'yaml',
      'pino',
      'node:',
    ],
  },
  {
    files: 'src/cli',
    mayImport: [
      'src/main.ts',
      'src/error-code.ts',
      'src/new-file.ts',
      'src/compose/index.ts',
      'src/seal/backup-container.ts',
      'src/config.ts',
      'src/share-config.ts',
      'src/hardening.ts',
      '@vertex/sdk',
      'commander',
      'pino',
      'node:',
    ],
  },
  {
    files: 'src/metrics',
    mayImport: ['src/vault', 'src/seal/index.ts', 'src/http/trace.ts', 'prom-client', 'node:'],
  },
  { files: 'src/mail', mayImport: ['nodemailer', 'node:'] },
  { files: 'src/new-file.ts', mayImport: ['src/error-code.ts', 'node:'] },
  { files: 'src/error-code.ts', mayImport: [] },
  { files: 'src/network.ts', mayImport: ['node:'] },
  {
    files: 'src/share-config.ts',
    mayImport: ['@vertex/directory/share', 'src/http/host-and-port.ts'],
  },
  { files: 'src/hardening.ts', mayImport: ['node:'] },
  {
    files: 'src/config.ts',
    mayImport: ['zod', 'src/http/host-and-port.ts', 'src/rates/index.ts', 'node:'],
  },
  {
    files: 'sdk/src',
    except: ['sdk/src/index.node.ts', 'sdk/src/node.ts', 'sdk/src/node'],
    mayImport: ['@vertex/mpc', '@vertex/directory', '@noble'],
  },
  {
    files: 'sdk/src/index.node.ts',
    mayImport: ['sdk/src', '@vertex/mpc', '@vertex/directory', '@noble', 'ws', 'node:'],
  },
  { files: 'sdk/src/node.ts', mayImport: ['sdk/src', '@vertex/mpc', '@noble', 'ws', 'node:'] },
]

/** Words that must not stand in the code of a place (comments do not count). */
const forbidden: readonly { files: string; words: RegExp; unless?: RegExp; why: string }[] = [
  {
    files: 'mpc/src',
    words:
      /\b(?:Date|Math\.random|console|setTimeout|setInterval|setImmediate|queueMicrotask|process|Buffer|fetch)\b(?!['"]?:)/,
    why: 'the protocol has no clock, log, timer or I/O',
  },
  {
    files: 'directory/src',
    words:
      /\b(?:Math\.random|console|setTimeout|setInterval|setImmediate|queueMicrotask|process|Buffer|fetch)\b(?!['"]?:)/,
    why: 'the rules of the directory have no log, timer or I/O',
  },
  { files: 'mpc/src', words: /\bWebAssembly\b/, why: 'only the kernel package may name it' },
  { files: 'mpc/src', words: /\bJSON\.stringify\b/, why: 'hashes go over the transcript encoder' },
  {
    files: 'mpc',
    words: /\bmultiplyUnsafe\b/,
    unless: /^\s*mulPublic:/,
    why: 'secret scalars need the blinded multiplication',
  },
  {
    files: 'src/seal',
    words: /\bJSON\.stringify\b/,
    why: 'what is authenticated has one binary form',
  },
  {
    files: 'src',
    words: /\bMath\.random\b/,
    unless: /\b(?:pause|sleep)\b/,
    why: 'ids and secrets come from the system; only how long to wait may be any number',
  },
  {
    files: 'src/vault',
    words: /\bDate\.now\b|\bprocess\.env\b|\bconsole\b/,
    why: 'the domain is given its clock',
  },
  {
    files: 'src/http',
    words: /\bprocess\.env\b|\bconsole\b/,
    why: 'settings are read in config.ts',
  },
  { files: 'src/store', words: /\bprocess\.env\b|\.save\(/, why: 'save overwrites what is there' },
  { files: 'sdk/src', words: /\bMath\.random\b/, why: 'ids and secrets come from the system' },
]

/** Where objects are built; everyone else takes what it needs. */
const composers = ['src/compose', 'src/main.ts']

const composes = (target: string) => composers.some((place) => within(target, place))

function sourcesOf(place: string): string[] {
  const path = join(root, place)
  if (!existsSync(path)) return []
  if (place.endsWith('.ts')) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .filter((file) => !/(?:^|\/)(?:dist|node_modules|test|generated|assembly)\//.test(file))
    .map((file) => join(path, file))
}

/** The code without its comments. */
function codeOf(file: string): string {
  return readFileSync(file, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '$1')
}

/** The names that code imports, statically or not. */
function namesIn(code: string): string[] {
  const found = [
    ...code.matchAll(/^\s*(?:import|export)\b[^'"`;=]*\bfrom\s*['"]([^'"]+)['"]/gm),
    ...code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm),
    ...code.matchAll(/\bimport\s*\(\s*['"]([^'"]+)['"]/g),
    ...code.matchAll(/\brequire(?:\.resolve)?\s*\(\s*['"]([^'"]+)['"]/g),
  ]
  return found.map(([, name = '']) => name)
}

function importsOf(file: string): string[] {
  return namesIn(codeOf(file)).map((name) => {
    if (name.startsWith('.'))
      return relative(root, resolve(dirname(file), name)).replace(/\.js$/, '.ts')
    return builtinModules.includes(name) ? `node:${name}` : name
  })
}

const within = (target: string, allowed: string): boolean =>
  target === allowed || target.startsWith(allowed.endsWith(':') ? allowed : `${allowed}/`)

const shown = (file: string) => relative(root, file)

describe('imports point one way', () => {
  it('and are seen in every form', () => {
    const code = [
      "import a from 'one'",
      'import {\n  b,\n} from "two"',
      "export * from 'three'",
      "import 'four'",
      "const c = await import('five')",
      "require('six')",
      "import type { D } from 'seven'",
    ].join('\n')
    const seen = ['one', 'two', 'three', 'four', 'five', 'six', 'seven']
    expect(namesIn(code).sort()).toEqual(seen.sort())
  })

  it.each(places)('$files imports only $mayImport', ({ files, except = [], mayImport }) => {
    const sources = sourcesOf(files).filter(
      (file) => !except.some((place) => within(shown(file), place)),
    )
    expect(sources, 'a rule that saw no file proves nothing').not.toEqual([])
    const wrong = sources.flatMap((file) =>
      importsOf(file)
        .filter((target) => ![files, ...mayImport].some((allowed) => within(target, allowed)))
        .map((target) => `${shown(file)} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })

  it('has a rule for every folder of the service', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `src/${entry.name}`)
    expect(folders.length).toBeGreaterThan(0)
    const ruled = [...places.map(({ files }) => files), ...composers]
    expect(folders.filter((folder) => !ruled.includes(folder))).toEqual([])
  })

  it('lets only the composition see everything', () => {
    const sources = sourcesOf('src').map(shown)
    for (const place of composers)
      expect(
        sources.some((file) => within(file, place)),
        place,
      ).toBe(true)
    const loose = sources.filter((file) => !file.slice('src/'.length).includes('/'))
    const shared = [
      'src/config.ts',
      'src/error-code.ts',
      'src/hardening.ts',
      'src/network.ts',
      'src/new-file.ts',
      'src/share-config.ts',
    ]
    expect(loose.filter((file) => !composes(file) && !shared.includes(file))).toEqual([])
    const wrong = sources
      // A command may start a program; which ones, its own rule says.
      .filter((file) => !composes(file) && !file.startsWith('src/cli/'))
      .flatMap((file) => importsOf(join(root, file)).map((target) => ({ file, target })))
      .filter(({ target }) => composes(target))
    expect(wrong).toEqual([])
  })
})

describe('some words stay out', () => {
  it.each(forbidden)('$files is without $words', ({ files, words, unless, why }) => {
    const sources = sourcesOf(files)
    expect(sources, 'a rule that saw no file proves nothing').not.toEqual([])
    const wrong = sources.flatMap((file) =>
      codeOf(file)
        .split('\n')
        .filter((line) => words.test(line) && unless?.test(line) !== true)
        .map((line) => `${shown(file)}: ${line.trim()}`),
    )
    expect(wrong, why).toEqual([])
  })
})
