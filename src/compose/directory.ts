import type { Logger } from 'pino'
import { defaultKeyPackages, type KeyPackageSettings } from '../config.js'
import { Bundles, keyPackageTables } from '../directory/keypackage/rows.js'
import { keyPackageSystem } from '../directory/keypackage/system.js'
import { Keyserver } from '../directory/keyserver/keyserver.js'
import type { KeyserverSettings } from '../directory/keyserver/settings.js'
import { Names } from '../directory/keyserver/names.js'
import { keyserverSystem } from '../directory/keyserver/system.js'
import { keyserverTables } from '../directory/keyserver/tables.js'
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
import type { NamePort } from '../vault/ports.js'
import { jobsOf, serveAlone, type DirectoryServer } from './alone.js'
import { clock } from './clock.js'
import { shareParts } from './share.js'

/** What the operator decides about the systems. */
export interface DirectorySettings {
  readonly keyPackages: KeyPackageSettings
  readonly share: ShareConfig
  /** Undefined where there is no keyserver. */
  readonly keyserver?: KeyserverSettings | undefined
}

/** A system, what must be done before it is asked, and what again and again. */
interface Part {
  readonly system: System
  readonly open?: () => Promise<void>
  readonly names?: NamePort
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

/** Undefined for a system that the settings do not have. */
type MakePart = (ground: Ground) => Part | undefined

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
  keyserver({ store, settings }) {
    if (settings.keyserver === undefined) return undefined
    const keyserver = new Keyserver(store, settings.keyserver, () => clock.now())
    const open = () => keyserver.open()
    const jobs: Job[] = [
      { name: 'renew-keyserver', everyMs: 24 * 3_600_000, work: open },
      { name: 'prune-key-inits', everyMs: 3_600_000, work: () => keyserver.prune() },
    ]
    const names = new Names(keyserver, () => clock.now())
    return { system: keyserverSystem(keyserver), open, names, jobs }
  },
  share: ({ store, database, settings, logger }) =>
    shareParts(store, database, settings.share, logger),
} satisfies Record<string, MakePart>

export type SystemName = keyof typeof parts

/** The tables of all of them: whichever system opens a database, it is the same one. */
export const directoryTables: MoreTables = (engine) => [
  sigchainTable(),
  ...keyPackageTables(engine),
  ...keyserverTables(engine),
  ...logTables(engine),
  ...shareTables(engine),
  ...replicationTables(engine),
]

/** Systems ready to be mounted, and their jobs, not begun yet. */
export interface Directory {
  readonly systems: readonly System[]
  /** Before they are asked. @throws what `isForOperator` and `isUnavailable` know */
  readonly open: () => Promise<void>
  /** Undefined where no names are given out. */
  readonly names: NamePort | undefined
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
  const made = names
    .map((name) => (parts[name] as MakePart)(ground))
    .filter((part) => part !== undefined)
  const jobs = made.flatMap((part) => part.jobs ?? [])
  return {
    systems: made.map(({ system }) => system),
    open: async () => {
      for (const part of made) await part.open?.()
    },
    names: made.find((part) => part.names !== undefined)?.names,
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
  const { host, port, database, keyPackages = defaultKeyPackages, keyserver } = settings
  const { share = defaultShareConfig } = settings
  const store = await openUnsealed(database, directoryTables)
  const all = { keyPackages, keyserver, share }
  const directory = composeDirectory(store, database, all, logger, [name])
  const { systems, jobs, open } = directory
  const [system] = systems
  const end = async () => {
    await directory.end()
    await store.close()
  }
  return serveAlone({ host, port }, { system: system!, jobs, open, end }, logger)
}
