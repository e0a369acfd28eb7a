import { readFileSync, writeFileSync } from 'node:fs'

/**
 * What the process is started with, as far as it can open the process up to others. An option is named without its
 * value, because a value may be anything.
 */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What stood before the program on the command line of Node. */
  readonly execArgv: readonly string[]
}

/** Options of Node that change sizes, or close something. All others could load code, open a port or write memory. */
const harmless: ReadonlySet<string> = new Set([
  '--disable-proto',
  '--disable-sigusr1',
  '--dns-result-order',
  '--enable-source-maps',
  '--max-heap-size',
  '--max-http-header-size',
  '--max-old-space-size',
  '--max-old-space-size-percentage',
  '--max-semi-space-size',
  '--no-deprecation',
  '--no-warnings',
  '--trace-uncaught',
  '--use-bundled-ca',
  '--use-openssl-ca',
  '--use-system-ca',
])

/**
 * What would let others into the process: options of Node that load code, open a debugger or write memory to a file,
 * and variables that print headers or turn the checking of certificates off. One line for each, empty if none.
 */
export function openings({ env, execArgv }: Surroundings): string[] {
  const found: string[] = []
  const check = (source: string, options: readonly string[]) => {
    for (const option of options) {
      const name = option.replace(/=.*$/s, '').replaceAll('_', '-')
      if (!harmless.has(name)) found.push(`${source}: ${shown(name)} is not allowed`)
    }
  }
  // Split where Node would, or finer: what is in quotes falls apart into something that is not allowed.
  check('NODE_OPTIONS', (env['NODE_OPTIONS'] ?? '').split(/\s+/).filter(Boolean))
  check('the command line of Node', execArgv)
  for (const name of ['NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'NODE_V8_COVERAGE'])
    if ((env[name] ?? '') !== '') found.push(`${name} is not allowed`)
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    found.push('NODE_TLS_REJECT_UNAUTHORIZED=0 is not allowed')
  return found
}

/** An option by its name; anything else was the value of one. */
const shown = (name: string) => (/^--?[a-z][a-z0-9-]{0,40}$/.test(name) ? name : 'an argument')

/** Which memory of a process goes into its core dump, a bit for each kind. Linux. */
const COREDUMP_FILTER = '/proc/self/coredump_filter'

/**
 * From now on a core dump of this process holds none of its memory; its threads and children inherit that.
 * @returns what is wrong where that cannot be had
 */
export function emptyCoreDumps(path = COREDUMP_FILTER): string | undefined {
  try {
    writeFileSync(path, '0')
    if (/^0+$/.test(readFileSync(path, 'utf8').trim())) return undefined
  } catch {
    // told below, whatever it was
  }
  return `${path} cannot be set to 0, so a core dump would hold the shares in memory`
}
