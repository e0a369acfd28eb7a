import type { Logger } from 'pino'
import { logTables } from '../directory/log/tables.js'
import { sigchainTable } from '../directory/sigchain/store.js'
import { sigchainSystem } from '../directory/sigchain/system.js'
import type { System } from '../directory/system.js'
import { createDirectoryApp } from '../http/directory-app.js'
import { closeServer, createServer, listen } from '../http/server.js'
import { openUnsealed, type Database, type MoreTables, type UnitStore } from '../store/index.js'
import { clock } from './clock.js'

/** Every system of the directory, by the name that `vertex directory` has for it. */
const systems = {
  sigchain: (store) => sigchainSystem(store, () => clock.now()),
} satisfies Record<string, (store: UnitStore) => System>

export type SystemName = keyof typeof systems

/** The tables of all of them: whichever system opens a database, it is the same one. */
export const directoryTables: MoreTables = (engine) => [sigchainTable(), ...logTables(engine)]

/** All systems, as the service has them on its own listener. */
export function composeDirectory(store: UnitStore): readonly System[] {
  return Object.values(systems).map((make: (store: UnitStore) => System) => make(store))
}

/** Where a system of the directory listens by itself, and where its rows are. */
export interface DirectoryServerSettings {
  readonly host: string
  readonly port: number
  readonly database: Database
}

export interface DirectoryServer {
  /** Where it listens. */
  readonly url: string
  readonly port: number
  /** Takes nothing new, ends what is under way. */
  stop(): Promise<void>
}

/** How long requests under way may go on once the server was told to stop. */
const CUT_OFF_MS = 5_000

/**
 * Runs one system by itself, on a port and a database of its own.
 * @throws what `isForOperator` and `isUnavailable` know; of the operating system where it cannot listen
 */
export async function serveSystem(
  name: SystemName,
  { host, port, database }: DirectoryServerSettings,
  logger: Logger,
): Promise<DirectoryServer> {
  const store = await openUnsealed(database, directoryTables)
  try {
    const life = { stopping: false }
    const make: (store: UnitStore) => System = systems[name]
    const app = createDirectoryApp(make(store), { logger, draining: () => life.stopping })
    const server = createServer(app)
    const bound = await listen(server, host, port)
    return {
      url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
      port: bound,
      stop: async () => {
        life.stopping = true
        await closeServer(server, CUT_OFF_MS)
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}
