// `npm test`: builds, then runs the whole suite. Missing partners (Postgres, Chromium, strace) are found out first:
// with CI=true they fail the run, otherwise what they would have tested is skipped and named in the last lines.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

const root = new URL('..', import.meta.url)
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status ?? 1

const found = (program) => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
const postgresBinaries = () =>
  existsSync('/usr/lib/postgresql') &&
  readdirSync('/usr/lib/postgresql').some((version) =>
    existsSync(`/usr/lib/postgresql/${version}/bin/postgres`),
  )

const partners = [
  [
    'Postgres (apt-get install postgresql, or VERTEX_TEST_PG_URL)',
    () => process.env.VERTEX_TEST_PG_URL !== undefined || postgresBinaries(),
  ],
  ['Chromium (apt-get install chromium)', () => existsSync('/usr/bin/chromium')],
  ['openssl', () => found('openssl')],
]
const missing = partners.filter(([, present]) => !present()).map(([name]) => name)
if (missing.length > 0 && process.env.CI === 'true') {
  console.error(`With CI=true nothing is skipped, and this is missing: ${missing.join('; ')}`)
  process.exit(1)
}

const status =
  run('npm', ['run', '--silent', 'build']) ||
  run('npx', ['vitest', 'run', ...process.argv.slice(2)])
for (const name of missing) console.error(`SKIPPED everything that needs ${name}`)
if (!found('terraform'))
  console.error('NOT CHECKED: the Terraform module (scripts/check-terraform.sh needs terraform)')
process.exit(status)
