import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'vertex-packages-'))
const modules = join(folder, 'node_modules')

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Packs a workspace as it would be published and unpacks it where an outsider's npm would put it. */
function install(workspace: string): { manifest: Manifest; files: string[]; home: string } {
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: join(root, workspace),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  // Up to npm 10 an array, from 11 on an object by package name.
  const parsed = JSON.parse(packed) as Record<
    string,
    { filename: string; files: { path: string }[] }
  >
  const { filename, files } = Object.values(parsed)[0]!
  const manifest = JSON.parse(
    readFileSync(join(root, workspace, 'package.json'), 'utf8'),
  ) as Manifest
  const home = join(modules, manifest.name)
  mkdirSync(home, { recursive: true })
  execFileSync('tar', ['-xzf', join(folder, filename), '-C', home, '--strip-components=1'])
  return { manifest, files: files.map(({ path }) => path), home }
}

/** Gives the outsider the third-party packages a manifest names, and no others. */
function linkDependencies(manifest: Manifest): void {
  const wanted = { ...manifest.dependencies, ...manifest.optionalDependencies }
  for (const name of Object.keys(wanted)) {
    const at = join(modules, name)
    if (name.startsWith('@vertex/') || existsSync(at)) continue
    mkdirSync(dirname(at), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), at)
  }
}

let packages: ReturnType<typeof install>[]

beforeAll(() => {
  packages = ['mpc', 'sdk', 'directory'].map(install)
  for (const { manifest } of packages) linkDependencies(manifest)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the packages, packed and unpacked as npm would', () => {
  it('hold their builds, a README and the licence, and nothing else', () => {
    for (const { files } of packages) {
      expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json']))
      const others = files.filter(
        (file) => !/^(dist\/|README\.md$|LICENSE$|package\.json$)/.test(file),
      )
      expect(others).toEqual([])
      expect(files.filter((file) => file.endsWith('.tsbuildinfo'))).toEqual([])
    }
  })

  it('have a file behind every entry of their exports', () => {
    for (const { manifest, home } of packages)
      for (const conditions of Object.values(manifest.exports))
        for (const target of Object.values(conditions))
          expect(existsSync(join(home, target)), `${manifest.name} ${target}`).toBe(true)
  })

  it('can be imported by an outsider, every entry', () => {
    const entries = packages.flatMap(({ manifest }) =>
      Object.keys(manifest.exports).map((entry) => manifest.name + entry.slice(1)),
    )
    expect(entries.length).toBeGreaterThanOrEqual(4)
    writeFileSync(
      join(folder, 'all.js'),
      entries
        .map((entry) => `console.log(Object.keys(await import('${entry}')).length > 0)`)
        .join('\n'),
    )
    const output = execFileSync(process.execPath, ['all.js'], { cwd: folder, encoding: 'utf8' })
    expect(output.trim().split('\n')).toEqual(entries.map(() => 'true'))
  })

  it('have types that a strict outsider can compile against', () => {
    writeFileSync(
      join(folder, 'outsider.ts'),
      `import { nobleSuite, digestOf, type KeyShare, type Suite } from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { MemoryShareStore, Vertex, VertexError } from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'

export const suites: Suite[] = [nobleSuite(), nativeSuite()]
export const digest: Uint8Array = digestOf(new Uint8Array(3), 'keccak256')
export const party = (share: KeyShare): number => share.index
export const vertex = new Vertex({ url: 'https://vertex.example', apiKey: 'k', store: new MemoryShareStore() })
export async function sign(message: Uint8Array): Promise<Uint8Array> {
  const key = await vertex.ecdsa.createKey()
  const { r, s, v, der } = await key.sign({ message, hashAlgo: 'sha256', derivationPath: [0, 1] })
  return v < 4 && r.length === s.length ? der : r
}
export const isOurs = (error: unknown): boolean => error instanceof VertexError && error.status === 400
export { FileShareStore }
`,
    )
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'es2023',
          module: 'nodenext',
          lib: ['es2023', 'dom'],
          types: [],
          skipLibCheck: false,
        },
        files: ['outsider.ts'],
      }),
    )
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const compile = () =>
      execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', stdio: 'pipe' })
    expect(compile()).toBe('')
  })
})
