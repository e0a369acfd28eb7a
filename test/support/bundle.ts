import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build, type BuildOptions, type Metafile } from 'esbuild'

const root = join(import.meta.dirname, '../..')

/** The packages' names for their sources, as vitest.config.ts has them. */
const sources = {
  '@vertex/mpc': join(root, 'mpc/src/index.ts'),
  '@vertex/mpc/native': join(root, 'mpc/native/index.ts'),
  '@vertex/sdk/node': join(root, 'sdk/src/node.ts'),
}

/** Bundles a script with the sources it imports, so that another Node process can run it. */
export async function bundleForNode(entry: string): Promise<string> {
  // Below the project, so that what is not bundled is found in its node_modules.
  mkdirSync(join(root, 'node_modules/.cache'), { recursive: true })
  const directory = mkdtempSync(join(root, 'node_modules/.cache/vertex-test-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  const outfile = join(directory, 'bundle.mjs')
  await bundle({
    entryPoints: [entry],
    outfile,
    platform: 'node',
    alias: { ...sources, '@vertex/sdk': join(root, 'sdk/src/index.node.ts') },
    external: ['ws', 'secp256k1'],
    banner: {
      js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(${JSON.stringify(join(root, 'package.json'))});`,
    },
  })
  return outfile
}

/** Bundles for the browser; a Node builtin anywhere in it is an error. */
export async function bundleForBrowser(entry: string, outfile: string): Promise<Metafile> {
  return bundle({
    entryPoints: [entry],
    outfile,
    platform: 'browser',
    alias: { ...sources, '@vertex/sdk': join(root, 'sdk/src/index.ts') },
  })
}

async function bundle(options: BuildOptions): Promise<Metafile> {
  const { metafile } = await build({
    bundle: true,
    format: 'esm',
    target: 'es2022',
    metafile: true,
    logLevel: 'silent',
    absWorkingDir: root,
    ...options,
  })
  return metafile!
}
