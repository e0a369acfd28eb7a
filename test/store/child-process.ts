import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..', '..')

/** Makes a program of this folder runnable by Node. Answers its path. */
export async function buildChild(name = 'child'): Promise<string> {
  const folder = join(root, 'node_modules', '.cache', 'vertex-test')
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `store-${name}-${process.pid}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
  })
  return outfile
}
