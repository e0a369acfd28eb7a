import type { Logger } from 'pino'
import { defaultKeyPackages, type KeyPackageSettings } from '../config.js'
import { Bundles, keyPackageTables } from '../directory/keypackage/rows.js'
import { keyPackageSystem } from '../directory/keypackage/system.js'
import { logTables } from '../directory/log/tables.js'
import { replicationTables } from '../directory/share/replication/tables.js'
import { shareTables } from '../directory/share/tables.js'
import { sigchainTable } from '../directory/sigchain/store.js'
import { sigchainSystem } from '../directory/sigchain/system.js'
import type { System } from '../directory/system.js'
import { defaultShareConfig, type ShareConfig } from '../share-config.js'
import {
  openUnsealed,
  type Database,
  type Job,
  type Jobs,
  type MoreTables,
  type UnitStore,
} from '../store/index.js'
import { jobsOf, serveAlone, type DirectoryServer } from './alone.js'
import { clock } from './clock.js'
import { shareParts } from './share.js'

/** What the operator decides about the systems. */
export interface DirectorySettings {
  readonly keyPackages: KeyPackageSettings
  readonly share: ShareConfig
}

/** A system, and what must be done for it again and again. */
interface Part {
  readonly system: System
  readonly jobs?: readonly Job[]
  /** Once nothing is asked any more, and no job runs. */
  readonly end?: () => Promise<void>
}

interface Ground {
  readonly store: UnitStore
  readonly database: Database
  readonly settings: DirectorySettings
  readonly logger: Logger
}

type MakePart = (ground: Ground) => Part

/** Every system of the directory, by the name that `vertex directory` has for it. */
const parts = {
  sigchain: ({ store }) => ({ system: sigchainSystem(store, () => clock.now()) }),
  keypackage({ store, settings: { keyPackages } }) {
    const bundles = new Bundles(store, () => clock.now())
    const prune: Job = {
      name: 'prune-key-packages',
      everyMs: keyPackages.pruneEveryMs,
      work: () => bundles.prune(keyPackages),
    }
    return { system: keyPackageSystem(bundles), jobs: [prune] }
  },
  share: ({ store, database, settings, logger }) =>
    shareParts(store, database, settings.share, logger),
} satisfies Record<string, MakePart>

export type SystemName = keyof typeof parts

/** The tables of all of them: whichever system opens a database, it is the same one. */
export const directoryTables: MoreTables = (engine) => [
  sigchainTable(),
  ...keyPackageTables(engine),
  ...logTables(engine),
  ...shareTables(engine),
  ...replicationTables(engine),
]

/** Systems ready to be mounted, and their jobs, not begun yet. */
export interface Directory {
  readonly systems: readonly System[]
  readonly jobs: Jobs
  /** Once nothing is asked any more, and the jobs have ended. */
  end(): Promise<void>
}

/** @param names all of them without, as the service has them on its own listener */
export function composeDirectory(
  store: UnitStore,
  database: Database,
  settings: DirectorySettings,
  logger: Logger,
  names = Object.keys(parts) as readonly SystemName[],
): Directory {
  const ground = { store, database, settings, logger }
  const made = names.map((name): Part => parts[name](ground))
  const jobs = made.flatMap((part) => part.jobs ?? [])
  return {
    systems: made.map(({ system }) => system),
    jobs: jobsOf(database, jobs, logger),
    end: async () => {
      for (const part of made) await part.end?.()
    },
  }
}

/** Where a system of the directory listens by itself, and where its rows are. */
export interface DirectoryServerSettings extends Partial<DirectorySettings> {
  readonly host: string
  readonly port: number
  readonly database: Database
}

/**
 * Runs one system by itself, on a port and a database of its own.
 * @throws what `isForOperator` and `isUnavailable` know; of the operating system where it cannot listen
 */
export async function serveSystem(
  name: SystemName,
  settings: DirectoryServerSettings,
  logger: Logger,
): Promise<DirectoryServer> {
  const { host, port, database, keyPackages = defaultKeyPackages } = settings
  const { share = defaultShareConfig } = settings
  const store = await openUnsealed(database, directoryTables)
  const directory = composeDirectory(store, database, { keyPackages, share }, logger, [name])
  const [system] = directory.systems
  const end = async () => {
    await directory.end()
    await store.close()
  }
  return serveAlone({ host, port }, { system: system!, jobs: directory.jobs, end }, logger)
}
