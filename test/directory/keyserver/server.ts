import { randomBytes } from 'node:crypto'
import { directoryTables } from '../../../src/compose/directory.js'
import { createLogger } from '../../../src/compose/index.js'
import { Keyserver } from '../../../src/directory/keyserver/keyserver.js'
import type { KeyserverSettings } from '../../../src/directory/keyserver/settings.js'
import { keyserverSystem } from '../../../src/directory/keyserver/system.js'
import { createDirectoryApp } from '../../../src/http/directory-app.js'
import { createServer, listen } from '../../../src/http/server.js'
import { openUnsealed, type Database, type UnitStore } from '../../../src/store/index.js'

// What an answer holds is what the tests are about, so they look into it freely.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Json = any

export interface RpcError {
  readonly code: number
  readonly message: string
}

export interface Reply {
  readonly jsonrpc: string
  readonly result?: Json
  readonly error?: RpcError
  readonly id: unknown
}

/** A keyserver of a test. */
export interface TestKeyserver {
  readonly url: string
  readonly store: UnitStore
  readonly keyserver: Keyserver
  readonly log: readonly string[]
  readonly clock: { ms: number }
  /** Sends bytes as they are. */
  readonly post: (
    body: string,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; text: string }>
  /** The result of a call. @throws what it was refused with */
  readonly call: (method: string, params?: object) => Promise<Json>
  /** What a call is refused with. */
  readonly refusal: (method: string, params?: object) => Promise<RpcError>
  /** @param all the database alone without */
  stop(all?: boolean): Promise<void>
}

export const DOMAIN = 'mute.example'

export const seed = new Uint8Array(randomBytes(32))

/** A keyserver on a database, with a clock of the test's, in milliseconds. */
export async function startKeyserver(
  database: Database,
  settings: Partial<KeyserverSettings> = {},
  clock = { ms: Date.now() },
): Promise<TestKeyserver> {
  const store = await openUnsealed(database, directoryTables)
  const all = { domains: [DOMAIN], reserved: ['admin'], seed, tokenKeys: [], escrowKey: undefined }
  const keyserver = new Keyserver(store, { ...all, ...settings }, () => clock.ms)
  await keyserver.open().catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  const log: string[] = []
  const logger = createLogger('info', { write: (line) => log.push(line) })
  const server = createServer(
    createDirectoryApp(keyserverSystem(keyserver), { logger, draining: () => false }),
  )
  const port = await listen(server, '127.0.0.1', 0)
  const url = `http://127.0.0.1:${port}`
  const post = async (
    body: string,
    headers: Record<string, string> = { 'Content-Type': 'application/json' },
  ) => {
    const response = await fetch(`${url}/`, { method: 'POST', headers, body })
    return { status: response.status, text: await response.text() }
  }
  const ask = async (method: string, params: object | undefined): Promise<Reply> => {
    const { status, text } = await post(
      JSON.stringify({ jsonrpc: '2.0', method, ...(params && { params }), id: 1 }),
    )
    if (status !== 200) throw new Error(`HTTP ${status}: ${text}`)
    return JSON.parse(text) as Reply
  }
  return {
    url,
    store,
    keyserver,
    log,
    clock,
    post,
    call: async (method, params) => {
      const reply = await ask(method, params)
      if (reply.error !== undefined) throw new Error(reply.error.message)
      return reply.result
    },
    refusal: async (method, params) => {
      const { error, result } = await ask(method, params)
      if (error === undefined) throw new Error(`taken: ${JSON.stringify(result)}`)
      return error
    },
    async stop(all = true) {
      if (all) {
        server.closeAllConnections()
        server.close()
      }
      await store.close()
    },
  }
}
