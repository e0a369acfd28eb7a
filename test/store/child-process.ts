import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..', '..')

/** Makes `child.ts` runnable by Node. Answers its path. */
export async function buildChild(): Promise<string> {
  const folder = join(root, 'node_modules', '.cache', 'vertex-test')
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `store-child-${process.pid}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, 'child.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
  })
  return outfile
}
