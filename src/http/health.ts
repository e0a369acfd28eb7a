import type { Vault } from '../vault/index.js'
import type { Drain } from './drain.js'
import { open, type Reply, type Route } from './routes.js'

/** How long a dependency may take to say that it is well. */
const PATIENCE_MS = 3000

/** Routes for those who watch the server. They tell states, never reasons. */
export function healthRoutes(
  vault: Pick<Vault, 'readiness'>,
  drain: Drain,
  answers: () => boolean,
  version: string,
): Route[] {
  return [
    open('get', '/livez', () => Promise.resolve<Reply>({ json: { status: 'ok' } })),
    open('get', '/readyz', async () => {
      const found = await vaultChecks(vault)
      const checks = { ...found, lease: answers(), draining: !drain.draining }
      const ready = Object.values(checks).every(Boolean)
      const json = {
        ready,
        checks: Object.fromEntries(
          Object.entries(checks).map(([name, ok]) => [name, ok ? 'ok' : 'failing']),
        ),
      }
      return ready ? { json } : { json, status: 503, headers: { 'Retry-After': '2' } }
    }),
    open('get', '/version', () => Promise.resolve<Reply>({ json: { name: 'vertex', version } })),
  ]
}

async function vaultChecks(
  vault: Pick<Vault, 'readiness'>,
): Promise<Readonly<Record<string, boolean>>> {
  const unknown: Readonly<Record<string, boolean>> = { vault: false }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<typeof unknown>((resolve) => {
    timer = setTimeout(() => resolve(unknown), PATIENCE_MS)
  })
  try {
    return await Promise.race([vault.readiness().then(({ checks }) => checks), late])
  } catch {
    return unknown
  } finally {
    clearTimeout(timer)
  }
}
