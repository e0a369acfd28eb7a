import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from './support/server.js'

const root = resolve(import.meta.dirname, '..')
const readJson = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'))
const manifest = readJson('package.json')
const locked: Record<string, Record<string, unknown>> = readJson('package-lock.json').packages

/** Packages that a dependency asks for and nobody gets. */
const replaced = { '@scarf/scarf': 'vendor/no-telemetry', elliptic: 'vendor/no-elliptic' } as const

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-supply-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the packages that are installed', () => {
  it('have exact versions where we name them', () => {
    for (const path of [
      'package.json',
      'mpc/package.json',
      'sdk/package.json',
      'directory/package.json',
    ]) {
      const { dependencies, devDependencies, optionalDependencies } = readJson(path)
      const all = { ...dependencies, ...devDependencies, ...optionalDependencies }
      expect(Object.keys(all).length).toBeGreaterThan(0)
      for (const [name, version] of Object.entries<string>(all))
        expect(version, name).toMatch(/^(?:\d+\.\d+\.\d+(?:-[\w.]+)?|file:vendor\/[\w-]+)$/)
    }
  })

  it('come from the registry with a hash, or from this repository', () => {
    for (const [path, entry] of Object.entries(locked)) {
      if (!path.includes('node_modules/') || entry['link'] === true) continue
      expect(entry['integrity'], path).toMatch(/^sha512-/)
    }
  })

  it('run an install script only if the allow-list says so', () => {
    const scripted = Object.entries(locked)
      .filter(([, entry]) => entry['hasInstallScript'] === true)
      .map(([path]) => path.replace(/^.*node_modules\//, ''))
    expect(scripted).toContain('better-sqlite3')
    for (const name of scripted) expect(typeof manifest.allowScripts[name], name).toBe('boolean')
  })
})

describe('packages that are replaced by empty ones', () => {
  it.each(Object.entries(replaced))('%s is nothing, wherever it is asked for', (name, vendored) => {
    expect(manifest.overrides[name]).toBe(`$${name}`)
    expect(manifest.dependencies[name]).toBe(`file:${vendored}`)
    const places = Object.keys(locked).filter((path) => path.endsWith(`node_modules/${name}`))
    expect(places).toEqual([`node_modules/${name}`])
    expect(locked[places[0]!]).toEqual({ resolved: vendored, link: true })
    expect(readdirSync(join(root, vendored))).toEqual(['package.json'])
    expect(readJson(join(vendored, 'package.json'))).not.toHaveProperty('scripts')
  })

  it('are never loaded by a running server', async () => {
    const seen = join(folder, 'loaded')
    const hook = join(folder, 'hook.cjs')
    writeFileSync(
      hook,
      `const { appendFileSync } = require('node:fs')
const Module = require('node:module')
const load = Module._load
Module._load = function (request, ...rest) {
  appendFileSync(${JSON.stringify(seen)}, request + '\\n')
  return load.call(this, request, ...rest)
}
`,
    )
    const server = await startServer({
      folder: join(folder, 'server'),
      settings: { NODE_OPTIONS: `--require=${hook}` },
    })
    try {
      expect((await fetch(`${server.url}/docs`)).status).toBe(200)
    } finally {
      await server.stop()
    }
    const requests = readFileSync(seen, 'utf8').split('\n')
    // The hook sees what the addon is asked for; its main entry would fall back to elliptic without a word.
    expect(requests).toContain('secp256k1/bindings.js')
    expect(requests).not.toContain('secp256k1')
    const wanted = Object.keys(replaced)
    expect(
      requests.filter((request) => wanted.some((name) => `${request}/`.startsWith(`${name}/`))),
    ).toEqual([])
  })
})
