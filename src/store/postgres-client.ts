import pg from 'pg'
import type { Database } from './open.js'
import { connectionTo } from './postgres-login.js'

const CONNECT_TIMEOUT_MS = 5_000

/** One connection of its own, for what is done beside the server. The caller ends it. */
export async function connectClient(
  { url, tokenFor }: Database & { readonly kind: 'postgres' },
  settings: pg.ClientConfig & { readonly application_name: string },
): Promise<pg.Client> {
  const client = new pg.Client({
    ...connectionTo(url, tokenFor),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    ...settings,
  })
  // A connection that breaks fails the statement under way, which is where it is told.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (thrown) {
    await client.end().catch(() => undefined)
    throw thrown
  }
  return client
}
