// `npm run audit`: asks the registry for known vulnerabilities in the packages a server is installed with. One that is
// high or critical fails; a registry that does not answer the question is said aloud and fails nothing, because a
// mirror without this endpoint is no reason to stop all work.
import { spawnSync } from 'node:child_process'

const root = new URL('..', import.meta.url)
const { stdout, stderr, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
  timeout: 120_000,
})
const answer = parse(stdout)
const counts = answer?.metadata?.vulnerabilities
if (counts === undefined) {
  const why = answer?.message ?? error?.message ?? (stderr.trim() || 'no answer')
  console.log(`NOT AUDITED: the audit endpoint of the registry cannot be reached (${why})`)
  process.exit(0)
}
const { critical = 0, high = 0, total = 0 } = counts
for (const { name, severity, range } of Object.values(answer.vulnerabilities))
  console.log(`${severity}: ${name} ${range}`)
console.log(`npm audit: ${total} known vulnerabilities, ${high} high, ${critical} critical`)
process.exit(high + critical > 0 ? 1 : 0)

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
