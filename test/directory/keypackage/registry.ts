import { ed25519 } from '@noble/curves/ed25519.js'
import { Bundles } from '../../../src/directory/keypackage/rows.js'
import { keyPackageSystem } from '../../../src/directory/keypackage/system.js'
import { directoryTables } from '../../../src/compose/directory.js'
import { createLogger } from '../../../src/compose/index.js'
import { createDirectoryApp } from '../../../src/http/directory-app.js'
import { createServer, listen } from '../../../src/http/server.js'
import { openUnsealed, type Database } from '../../../src/store/index.js'

/** What a registry of a test has of it. */
export interface Registry {
  readonly url: string
  readonly bundles: Bundles
  readonly log: readonly string[]
  readonly get: (path: string) => Promise<Got>
  readonly post: (path: string, body: unknown, contentType?: string) => Promise<Got>
  stop(): Promise<void>
}

export interface Got {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

/** A registry on a database, with a clock of the test's. */
export async function startRegistry(database: Database, now = () => Date.now()): Promise<Registry> {
  const store = await openUnsealed(database, directoryTables)
  const bundles = new Bundles(store, now)
  const log: string[] = []
  const logger = createLogger('info', { write: (line) => log.push(line) })
  const app = createDirectoryApp(keyPackageSystem(bundles), { logger, draining: () => false })
  const server = createServer(app)
  const port = await listen(server, '127.0.0.1', 0)
  const url = `http://127.0.0.1:${port}`
  const ask = async (path: string, init?: RequestInit): Promise<Got> => {
    const response = await fetch(`${url}${path}`, init)
    const type = response.headers.get('content-type')
    return { status: response.status, type, text: await response.text() }
  }
  return {
    url,
    bundles,
    log,
    get: (path) => ask(path),
    post(path, body, contentType = 'application/json') {
      const headers: Record<string, string> =
        contentType === '' ? {} : { 'Content-Type': contentType }
      const bytes =
        body instanceof Uint8Array
          ? Buffer.from(body)
          : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
      return ask(path, { method: 'POST', headers, body: bytes })
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await store.close()
    },
  }
}

export const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

/** A device or an account of a test. */
export function signer(seedByte: number) {
  const seed = new Uint8Array(32).fill(seedByte)
  const id = Buffer.from(ed25519.getPublicKey(seed)).toString('hex')
  const signed = (payload: Uint8Array) => ({
    payload: base64(payload),
    signature: base64(ed25519.sign(payload, seed)),
  })
  return {
    id,
    seed,
    signed,
    /** What is posted of it. */
    bundle: (payload: Uint8Array) => ({ device_id: id, ...signed(payload) }),
    account: (payload: Uint8Array) => ({ account_pub: id, ...signed(payload) }),
  }
}
