import { createReadStream, existsSync } from 'node:fs'
import { AuditWriter, ofServer } from '../audit/index.js'
import { BundleRefused, openBundle, type OpenedBundle } from '../bundle/index.js'
import type { Config } from '../config.js'
import { errorCode } from '../error-code.js'
import {
  createSecretFile,
  rowSeal,
  type BackupSecrets,
  type SealLog,
  type StorageKey,
} from '../seal/index.js'
import { lookAt, restoreDatabase, sqliteDatabaseExists, type Look } from '../store/index.js'
import { StartRefused, type VaultLog } from '../vault/index.js'
import type { RowSeal } from '../vault/ports.js'
import {
  CountedRows,
  HashedBytes,
  infoOf,
  loadBundleSecrets,
  type BundleInfo,
  type Progress,
  type RowCounts,
} from './bundle.js'
import { clock } from './clock.js'
import { databaseOf } from './database.js'
import { shown } from './notes.js'
import { loadStorageKey } from './secrets.js'

/** From a bundle, or undefined where the operator has put an older copy of the database back himself. */
export type RestoreFrom = string | undefined

/** What a restore would do, found out without changing anything. docs/spec/bundle.md, section 6 */
export interface RestorePlan {
  readonly way: 'bundle' | 'in_place'
  readonly bundle: BundleInfo | undefined
  readonly database: {
    readonly engine: 'sqlite' | 'postgres'
    readonly generation: string | undefined
    /** Where there may be none, or what is deleted. */
    readonly rows: RowCounts
  }
  /** In words, in the order in which they happen. */
  readonly changes: readonly string[]
  /** Why it is not done. */
  readonly refused: { readonly code: RestoreRefusal; readonly message: string } | undefined
}

export type RestoreRefusal =
  'no_database' | 'database_in_use' | 'database_not_empty' | 'database_of_other_vault'

/** A restore is not done on this database; the message says why and what to do. */
export class RestoreRefused extends Error {
  override readonly name = 'RestoreRefused'
  constructor(
    readonly code: RestoreRefusal,
    message: string,
  ) {
    super(message)
  }
}

/** A restore that was done. */
export interface Restored extends RestorePlan {
  /** The new one. */
  readonly generation: string
}

export interface RestoreLogs {
  readonly seal: SealLog
  readonly vault: VaultLog
  readonly progress: Progress
}

/**
 * Finds out what {@link restore} would do. A bundle is read to its end.
 * @throws BundleRefused; what isForOperator and isUnavailable know
 */
export async function planRestore(
  config: Config,
  from: RestoreFrom,
  { seal: log, progress }: RestoreLogs,
): Promise<RestorePlan> {
  return (await prepare(config, from, log, progress)).plan
}

/**
 * Restores a database. All of it is done or nothing, whenever this ends.
 * @param before told what will be changed
 * @throws RestoreRefused, BundleRefused; what isForOperator and isUnavailable know
 */
export async function restore(
  config: Config,
  from: RestoreFrom,
  { seal: log, vault: vaultLog, progress }: RestoreLogs,
  before: (plan: RestorePlan) => void,
): Promise<Restored> {
  const { plan, storageKey, secrets, newKeyFile } = await prepare(config, from, log, progress)
  before(plan)
  if (plan.refused !== undefined) throw new RestoreRefused(plan.refused.code, plan.refused.message)
  if (newKeyFile !== undefined) await createSecretFile(config.storageKey.setting, newKeyFile)
  const key = storageKey ?? (await loadStorageKey(config, log)).key
  const options = { database: databaseOf(config), rowSeal: rowSeal(key), clock }
  const generation = await restoreDatabase(options, async ({ uow, occupied, insert }) => {
    if (from !== undefined) {
      // Once more, now that nobody can write any more.
      const refused = notEmpty(await occupied())
      if (refused !== undefined) throw new RestoreRefused(refused.code, refused.message)
      const { bundle, bytes } = await open(config, from, secrets!)
      await insert(new CountedRows(bundle.rows, 'restored', progress))
      if (bytes.digest() !== plan.bundle!.sha256)
        throw new BundleRefused('bundle_unreadable', `${from} was replaced while it was read`)
    }
    const meta = await uow.meta.restored(clock.now())
    const audit = new AuditWriter(
      {
        async appendAudit(make) {
          await uow.audit.append(make(await uow.audit.head(), meta.generation, undefined))
        },
      },
      key.auditKeys(),
      clock,
    )
    if (plan.bundle === undefined) await audit.open()
    else await audit.append(recordOf(plan.bundle))
    return meta.generation
  })
  vaultLog({ event: 'database_restored', generation })
  return { ...plan, generation }
}

interface Prepared {
  readonly plan: RestorePlan
  /** Undefined where it will be made. */
  readonly storageKey: StorageKey | undefined
  readonly secrets: BackupSecrets | undefined
  readonly newKeyFile: string | undefined
}

async function prepare(
  config: Config,
  from: RestoreFrom,
  log: SealLog,
  progress: Progress,
): Promise<Prepared> {
  const newKeyFile = missingStorageKey(config)
  const storageKey = newKeyFile === undefined ? (await loadStorageKey(config, log)).key : undefined
  const seal = storageKey === undefined ? noSeal : rowSeal(storageKey)
  const look = await lookAt(databaseOf(config), seal)
  if (from === undefined)
    return { plan: inPlace(config, look), storageKey, secrets: undefined, newKeyFile }
  const fingerprint = storageKey?.fingerprint ?? new Uint8Array(32)
  const secrets = await loadBundleSecrets(config, fingerprint, log)
  const { bundle, bytes } = await open(config, from, secrets)
  const rows = new CountedRows(bundle.rows, 'checked', progress)
  for await (const { cells } of rows)
    for (const cell of cells) if (cell instanceof Uint8Array) cell.fill(0)
  const info = infoOf(from, bundle.header, bytes, rows)
  return { plan: fromBundle(config, look, info, newKeyFile), storageKey, secrets, newKeyFile }
}

/** The file of a storage key that is generated as at a first start. @throws StartRefused beside a database */
function missingStorageKey({ storageKey, database }: Config): string | undefined {
  if (storageKey.kind !== 'embedded' || existsSync(storageKey.path)) return undefined
  if (database.kind === 'sqlite' && sqliteDatabaseExists(database.dataDir))
    throw new StartRefused(
      `${storageKey.setting}: ${shown(storageKey.path)} is missing, and the database was used with it; put it back, or move the database away`,
    )
  return storageKey.path
}

/** Where there is no storage key yet, there is nothing that it sealed. */
const noSeal: RowSeal = {
  seal: () => {
    throw new Error('nothing is sealed while planning')
  },
  open: () => {
    throw new Error('there is no storage key')
  },
}

async function open(
  config: Config,
  file: string,
  secrets: BackupSecrets,
): Promise<{ bundle: OpenedBundle; bytes: HashedBytes }> {
  const bytes = new HashedBytes(contentOf(file))
  const bundle = await openBundle(bytes, {
    vaultName: config.vaultName,
    secrets: secrets.all(),
    setting:
      config.backup.mode === 'encrypted' ? config.backup.source.setting : 'VERTEX_BACKUP_MODE',
  })
  return { bundle, bytes }
}

async function* contentOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(file)) yield piece as Uint8Array
  } catch (error) {
    const code = errorCode(error) ?? 'unknown'
    throw new BundleRefused('bundle_unreadable', `${file} cannot be read (${code})`)
  }
}

function inPlace(config: Config, look: Look): RestorePlan {
  const setups = look.rows['ot_setups'] ?? 0
  const refused = !look.made
    ? {
        code: 'no_database' as const,
        message: `${where(config)}: there is no database here; put the copy in its place first`,
      }
    : (usedBy(look) ?? ofOtherVault(config, look))
  return {
    way: 'in_place',
    bundle: undefined,
    database: { engine: config.database.kind, generation: look.generation, rows: look.rows },
    changes: [
      ...(look.older ? ['the tables are brought up to date'] : []),
      `the database gets a new generation, in the place of ${look.generation ?? 'none'}`,
      bornNow('the copy'),
      `all OT setups are deleted: ${setups}`,
      'the audit log records that the generation has changed',
    ],
    refused,
  }
}

function fromBundle(
  config: Config,
  look: Look,
  bundle: BundleInfo,
  newKeyFile: string | undefined,
): RestorePlan {
  const rows = Object.entries(bundle.rows).map(([table, count]) => `${table}: ${count}`)
  return {
    way: 'bundle',
    bundle,
    database: { engine: config.database.kind, generation: look.generation, rows: look.rows },
    changes: [
      ...(newKeyFile === undefined ? [] : [`a storage key is generated into ${shown(newKeyFile)}`]),
      ...(look.made ? [] : ['the tables are made']),
      ...(look.older ? ['the tables are brought up to date'] : []),
      ...(look.generation === undefined
        ? []
        : ['the backup secrets that it was started with are forgotten; those of the bundle count']),
      `these rows are added: ${rows.join(', ')}`,
      'the shares are sealed under the storage key of this configuration',
      `the database gets a new generation, in the place of ${look.generation ?? 'none'}; the one of the bundle was ${bundle.generation}`,
      bornNow('the bundle'),
      `the audit log records the restore and the head of the log that was lost: ${bundle.audit_head.seq} ${bundle.audit_head.hash}`,
    ],
    refused: usedBy(look) ?? ofOtherVault(config, look) ?? notEmpty(look.rows),
  }
}

const bornNow = (since: string) =>
  `its birth time becomes now: API keys made since ${since} come back with their users, and those revoked since work ` +
  'again, unless VERTEX_API_KEYS_NOT_BEFORE is later than they are'

const usedBy = ({ inUse }: Look): RestorePlan['refused'] =>
  inUse
    ? {
        code: 'database_in_use',
        message:
          'a server uses this database, or did until some seconds ago: stop it and try again',
      }
    : undefined

const ofOtherVault = (config: Config, { vaultName }: Look): RestorePlan['refused'] =>
  vaultName === undefined || vaultName === config.vaultName
    ? undefined
    : {
        code: 'database_of_other_vault',
        message: `VERTEX_VAULT_NAME: this database belongs to the vault ${vaultName}, not ${config.vaultName}`,
      }

/** What a first start leaves does not count. */
function notEmpty(rows: Readonly<Record<string, number>>): RestorePlan['refused'] {
  const found = Object.entries(rows).filter(
    ([table, count]) => table !== 'audit_records' && count > 0,
  )
  if (found.length === 0) return undefined
  const named = found.map(([table, count]) => `${table}: ${count}`).join(', ')
  return {
    code: 'database_not_empty',
    message: `the database is not empty (${named}), and nothing is merged: restore into an empty one, or move this one away`,
  }
}

const where = ({ database }: Config) =>
  database.kind === 'sqlite' ? 'VERTEX_DATA_DIR' : 'DATABASE_URL'

/** What the audit log says of a restore from a bundle. Both values are public hashes, so that they can be compared. */
const recordOf = ({ sha256, audit_head }: BundleInfo) =>
  ({
    ...ofServer,
    action: 'restore',
    values: [
      ['bundle', sha256],
      ['audit_head', audit_head.hash],
    ],
  }) as const
