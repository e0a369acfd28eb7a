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
export async function bundleForNode(entry: string, directory: string): Promise<string> {
  const outfile = join(directory, `${Date.now().toString(36)}-bundle.mjs`)
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
