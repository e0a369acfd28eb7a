// Lays out what the image holds besides Node: `node scripts/image-root.mjs FOLDER` puts /app into FOLDER, with the
// built service, its production dependencies and its health check. Needs `npm ci` and a build before it. No install
// script runs here; the one addon that is compiled comes from the `npm ci` of this checkout.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  console.error('Usage: node scripts/image-root.mjs FOLDER')
  process.exit(2)
}
const root = resolve(import.meta.dirname, '..')
const app = join(resolve(folder), 'app')
if (existsSync(app)) throw new Error(`${app} is there already`)

const needed = [
  ...['LICENSE', 'openapi.yaml', 'package.json', 'package-lock.json', 'vendor', 'dist'],
  ...['directory', 'mpc', 'sdk'].flatMap((name) =>
    ['LICENSE', 'package.json', 'dist'].map((part) => `${name}/${part}`),
  ),
]
const unneeded = /\.(d\.ts|map|tsbuildinfo)$/
for (const path of needed)
  cpSync(join(root, path), join(app, path), {
    recursive: true,
    filter: (source) => !unneeded.test(source),
  })
cpSync(join(root, 'scripts/health.mjs'), join(app, 'health.mjs'))

execFileSync(
  'npm',
  ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'],
  { cwd: app, stdio: ['ignore', 'ignore', 'inherit'] },
)

const addon = 'node_modules/better-sqlite3'
const version = (base) =>
  JSON.parse(readFileSync(join(base, addon, 'package.json'), 'utf8')).version
if (version(root) !== version(app)) throw new Error(`${addon} differs from the checkout: npm ci`)
const binary = join(addon, 'build/Release/better_sqlite3.node')
mkdirSync(dirname(join(app, binary)), { recursive: true })
cpSync(join(root, binary), join(app, binary))
for (const source of ['deps', 'src']) rmSync(join(app, addon, source), { recursive: true })
