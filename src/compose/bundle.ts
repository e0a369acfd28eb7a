import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex } from '@vertex/mpc'
import { AuditWriter, ofServer, parseLine } from '../audit/index.js'
import { writeBundle, type BundleHeader } from '../bundle/index.js'
import type { Config } from '../config.js'
import { makeFile } from '../new-file.js'
import {
  BackupSecrets,
  rowSeal,
  secretSource,
  type BackupSecret,
  type SealLog,
  type StorageKey,
} from '../seal/index.js'
import {
  all,
  assertCurrent,
  bundledTables,
  openAuditBeside,
  readBundled,
  StoreRefused,
  type BundledRow,
  type Snapshot,
} from '../store/index.js'
import { StartRefused } from '../vault/index.js'
import { SealedValueInvalid, StorageUnavailable, type RowSeal } from '../vault/ports.js'
import { clock } from './clock.js'
import { databaseOf, snapshotOf } from './database.js'
import { loadStorageKey } from './secrets.js'

/** Rows by table. */
export type RowCounts = Record<string, number>

/** A bundle, for people and scripts. */
export interface BundleInfo {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly vault_name: string
  readonly created_at: string
  readonly generation: string
  readonly secret: {
    readonly name: string
    readonly version: string
    readonly fingerprint: string
  }
  readonly audit_head: { readonly seq: number; readonly hash: string }
  readonly rows: RowCounts
}

/** What takes long tells how far it is. */
export type Progress = (text: () => string) => void

/**
 * Makes a disaster bundle of the database of this configuration, beside the server that uses it, and records it there.
 * docs/spec/bundle.md, section 5
 * @param to a file that is not there yet, or a folder in which it gets a name of its own
 * @throws the error of the file system, `EEXIST` where there is such a file; what isForOperator and isUnavailable know
 */
export async function makeBundle(
  config: Config,
  to: string,
  log: SealLog,
  progress: Progress,
): Promise<BundleInfo> {
  const createdAt = clock.now()
  const file = isFolder(to) ? join(to, nameOf(config.vaultName, createdAt)) : to
  if (existsSync(file)) throw Object.assign(new Error('there is such a file'), { code: 'EEXIST' })
  const storage = await loadStorageKey(config, log)
  const secrets = await loadBundleSecrets(config, storage.key.fingerprint, log)
  const secret = secrets.all()[0]!
  const seal = rowSeal(storage.key)
  // Before anything is written: it is our database, and our storage key.
  await (await openChecked(config, seal)).snapshot.close()
  const recorded = await recordBundle(config, storage.key)
  try {
    const bundle = await writeRows(config, { file, createdAt, secret, seal, progress })
    await recorded('done', bundle.sha256)
    return bundle
  } catch (error) {
    // What went wrong is the answer, whether its record can be written or not.
    await recorded('failed').catch(() => undefined)
    throw error
  }
}

/** @throws StartRefused, StoreRefused for another database or storage key than those of this configuration */
async function openChecked(
  config: Config,
  seal: RowSeal,
): Promise<{ readonly snapshot: Snapshot; readonly generation: string }> {
  const snapshot = await snapshotOf(config)
  try {
    const generation = await assertCurrent(snapshot, seal)
    await assertVaultName(snapshot, config.vaultName)
    return { snapshot, generation }
  } catch (error) {
    await snapshot.close()
    throw error
  }
}

interface Wanted {
  readonly file: string
  readonly createdAt: number
  readonly secret: BackupSecret
  readonly seal: RowSeal
  readonly progress: Progress
}

async function writeRows(
  config: Config,
  { file, createdAt, secret, seal, progress }: Wanted,
): Promise<BundleInfo> {
  const { snapshot, generation } = await openChecked(config, seal)
  try {
    const header: BundleHeader = {
      vaultName: config.vaultName,
      secret,
      createdAt,
      generation,
      auditHead: await auditHeadOf(snapshot),
    }
    const rows = new CountedRows(readBundled(snapshot, seal), 'written', progress)
    const pieces = new HashedBytes(writeBundle(secret, header, rows))
    await makeFile(file, pieces)
    return infoOf(file, header, pieces, rows)
  } catch (error) {
    if (error instanceof SealedValueInvalid)
      throw new StoreRefused(
        `a sealed value in the table ${error.table} does not open: it was damaged or changed, and a bundle would lack it`,
        { cause: error },
      )
    throw error
  } finally {
    await snapshot.close()
  }
}

/**
 * Records that a bundle is about to be made: every share leaves with it. docs/spec/audit-log.md, section 2
 * @returns what records how it ended, once
 * @throws StoreRefused, StorageUnavailable when it cannot be recorded
 */
async function recordBundle(
  config: Config,
  storageKey: StorageKey,
): Promise<(outcome: 'done' | 'failed', sha256?: string) => Promise<void>> {
  const beside = await openAuditBeside(databaseOf(config))
  const audit = new AuditWriter(beside, storageKey.auditKeys(), clock)
  const append = (of: number, outcome: string, values: readonly (readonly [string, string])[]) =>
    audit.append({ ...ofServer, action: 'bundle', of, outcome, values }).catch((cause: unknown) => {
      if (cause instanceof StorageUnavailable || cause instanceof StoreRefused) throw cause
      throw new StoreRefused(
        'the audit log cannot be gone on with, and no bundle is made without it: check it with vertex audit verify',
        { cause },
      )
    })
  let ended = false
  try {
    const of = await append(0, 'begun', [])
    return async (outcome, sha256) => {
      if (ended) return
      ended = true
      try {
        await append(of, outcome, sha256 === undefined ? [] : [['bundle', sha256]])
      } finally {
        await beside.close()
      }
    }
  } catch (error) {
    await beside.close()
    throw error
  }
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** Such as prod-20260131T120000Z.bundle. */
const nameOf = (vaultName: string, at: number) =>
  `${vaultName}-${new Date(at).toISOString().replace(/[-:]|\.\d+/g, '')}.bundle`

/** Every version of the backup secret. @throws StartRefused in plaintext mode, where there is none */
export async function loadBundleSecrets(
  config: Config,
  storageFingerprint: Uint8Array,
  log: SealLog,
): Promise<BackupSecrets> {
  if (config.backup.mode === 'plaintext')
    throw new StartRefused(
      'VERTEX_BACKUP_MODE: bundles are sealed under the backup secret, and in plaintext mode there is none; keep copies of the database',
    )
  return BackupSecrets.load(secretSource(config.backup.source, log), {
    vaultName: config.vaultName,
    clock,
    log,
    storageFingerprint,
  })
}

async function assertVaultName(snapshot: Snapshot, vaultName: string): Promise<void> {
  const [recorded] = await all(snapshot, `SELECT name FROM recorded_secrets WHERE kind = 'vault'`)
  if (recorded !== undefined && recorded['name'] !== vaultName)
    throw new StartRefused(
      `VERTEX_VAULT_NAME: this database belongs to the vault ${String(recorded['name'])}, not ${vaultName}; put that name back`,
    )
}

async function auditHeadOf(snapshot: Snapshot): Promise<BundleHeader['auditHead']> {
  const [last] = await all(
    snapshot,
    'SELECT seq, line FROM audit_records ORDER BY seq DESC LIMIT 1',
  )
  if (last === undefined) return { seq: 0, hash: '0'.repeat(64) }
  const sealed = parseLine(String(last['line']))
  if (sealed === undefined)
    throw new StoreRefused('the last record of the audit log is damaged: check the log')
  return { seq: sealed.record.seq, hash: sealed.hash }
}

export function infoOf(
  file: string,
  { vaultName, createdAt, generation, secret, auditHead }: BundleHeader,
  bytes: HashedBytes,
  rows: CountedRows,
): BundleInfo {
  return {
    file,
    bytes: bytes.count,
    sha256: bytes.digest(),
    vault_name: vaultName,
    created_at: new Date(createdAt).toISOString(),
    generation,
    secret: {
      name: secret.name,
      version: secret.version,
      fingerprint: bytesToHex(secret.fingerprint),
    },
    audit_head: auditHead,
    rows: rows.counts,
  }
}

/** Passes rows on and counts them. */
export class CountedRows implements AsyncIterable<BundledRow> {
  readonly counts: RowCounts = Object.fromEntries(bundledTables.map(({ name }) => [name, 0]))
  constructor(
    private readonly rows: AsyncIterable<BundledRow>,
    private readonly doing: 'written' | 'checked' | 'restored',
    private readonly progress: Progress,
  ) {}

  async *[Symbol.asyncIterator]() {
    let done = 0
    for await (const row of this.rows) {
      yield row
      const { name } = bundledTables[row.table]!
      this.counts[name]!++
      done++
      this.progress(() => `${done} rows ${this.doing}, now ${name}`)
    }
  }
}

/** Passes bytes on and keeps their number and hash. */
export class HashedBytes implements AsyncIterable<Uint8Array> {
  readonly #hash = createHash('sha256')
  count = 0
  constructor(private readonly bytes: AsyncIterable<Uint8Array>) {}

  async *[Symbol.asyncIterator]() {
    for await (const piece of this.bytes) {
      this.#hash.update(piece)
      this.count += piece.length
      yield piece
    }
  }

  /** Of everything that passed, in hex. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }
}
