import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { LoginUnavailable, StoreRefused } from './errors.js'

/** A token of the machine's managed identity for one service. */
export type TokenFor = (scope: string) => Promise<string>

/** Azure's databases, by the end of their names, and what a token for them is asked under. */
const azure: readonly { readonly host: string; readonly scope: string }[] = [
  {
    host: '.postgres.database.azure.com',
    scope: 'https://ossrdbms-aad.database.windows.net/.default',
  },
  {
    host: '.postgres.database.usgovcloudapi.net',
    scope: 'https://ossrdbms-aad.database.usgovcloudapi.net/.default',
  },
  {
    host: '.postgres.database.chinacloudapi.cn',
    scope: 'https://ossrdbms-aad.database.chinacloudapi.cn/.default',
  },
]

/**
 * How to reach and log in to the database of a URL. One of Azure, with a user and without a password, is logged in to
 * with a token of Microsoft Entra, a new one for each new connection; a connection that is open outlives its token.
 * @throws StoreRefused for something that is no URL of a Postgres, or that would send a token past TLS
 */
export function connectionTo(url: string, tokenFor: TokenFor | undefined): pg.ClientConfig {
  const connectionString = withTls(url)
  const parsed = new URL(connectionString)
  const { hostname, username, searchParams } = parsed
  const scope = azure.find(({ host }) => hostname.toLowerCase().endsWith(host))?.scope
  const hasPassword = parsed.password !== '' || searchParams.has('password')
  if (tokenFor === undefined || scope === undefined || username === '' || hasPassword)
    return { connectionString }

  // Taken apart here, because a connection string always brings a password along, if only an empty one.
  for (const name of searchParams.keys())
    if (name !== 'sslmode' && name !== 'sslrootcert')
      throw new StoreRefused(`DATABASE_URL without a password cannot have ${name}`)
  if ((searchParams.get('sslmode') ?? 'verify-full') !== 'verify-full')
    throw new StoreRefused(
      'DATABASE_URL without a password needs sslmode=verify-full: a token must reach nobody else',
    )
  return {
    host: hostname,
    port: Number(parsed.port || 5432),
    user: decodeURIComponent(username),
    database: decodeURIComponent(parsed.pathname.slice(1)),
    ssl: authorities(searchParams.get('sslrootcert')),
    password: async () => {
      try {
        return await tokenFor(scope)
      } catch {
        throw new LoginUnavailable('no token')
      }
    },
  }
}

function authorities(path: string | null): { ca?: string } {
  if (path === null) return {}
  try {
    return { ca: readFileSync(path, 'utf8') }
  } catch {
    throw new StoreRefused('DATABASE_URL: the file of sslrootcert cannot be read')
  }
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]', '::1', ''])

/**
 * TLS with full verification unless the URL says otherwise or the server is on this machine.
 * @throws StoreRefused for something that is no URL of a Postgres
 */
export function withTls(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw new StoreRefused('DATABASE_URL is not a URL')
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:')
    throw new StoreRefused('DATABASE_URL must begin with postgres://')
  const host = decodeURIComponent(parsed.searchParams.get('host') ?? parsed.hostname)
  const decided = ['sslmode', 'ssl', 'sslrootcert'].some((name) => parsed.searchParams.has(name))
  if (!decided && !loopback.has(host) && !host.startsWith('/'))
    parsed.searchParams.set('sslmode', 'verify-full')
  return parsed.toString()
}
