import type { EntityManager } from 'typeorm'
import type {
  BackupNote,
  BackupSecretHint,
  BackupVerbs,
  CoverageCount,
  CoveredKey,
} from '../vault/ports.js'
import { fromHex, hexText, isStorable, primaryText, table, text, time, toHex } from './columns.js'
import { toShareRecord, type ShareRow } from './shares.js'
import { conflict, type Unit } from './unit.js'

interface BackupRow {
  shareId: string
  userId: string
  digest: string
  exportedAt: number
  /** Of the backup secret; the three are null together, for a plaintext backup. */
  secretFingerprint: string | null
  secretName: string | null
  secretVersion: string | null
  verifiedAt: number | null
  drilledAt: number | null
}

const TABLE = 'backups'

export const backupsTable = () =>
  table<BackupRow>(TABLE, {
    columns: {
      shareId: primaryText('share_id', 'pk_backups'),
      userId: text('user_id'),
      digest: hexText('digest'),
      exportedAt: time('exported_at'),
      secretFingerprint: hexText('secret_fingerprint', { nullable: true }),
      secretName: text('secret_name', { nullable: true }),
      secretVersion: text('secret_version', { nullable: true }),
      verifiedAt: time('verified_at', { nullable: true }),
      drilledAt: time('drilled_at', { nullable: true }),
    },
    foreignKeys: [
      {
        name: 'fk_backups_share',
        target: 'shares',
        columnNames: ['userId', 'shareId'],
        referencedColumnNames: ['userId', 'shareId'],
      },
    ],
  })

export class Backups implements BackupVerbs {
  constructor(private readonly unit: Unit) {}

  exported(backup: BackupNote): Promise<void> {
    return this.unit.verb(async (manager) => {
      const before = await this.#before(manager, backup)
      if (before?.verifiedAt == null) await this.#replace(manager, before, toRow(backup))
    })
  }

  verified(backup: BackupNote, at: number): Promise<void> {
    return this.unit.verb(async (manager) => {
      const before = await this.#before(manager, backup)
      const row = toRow(backup)
      const same = before?.digest === row.digest
      const drilledAt = same ? before.drilledAt : null
      await this.#replace(manager, before, { ...row, verifiedAt: at, drilledAt })
    })
  }

  drilled(backup: BackupNote, at: number): Promise<void> {
    return this.unit.verb(async (manager) => {
      const before = await this.#before(manager, backup)
      await this.#replace(manager, before, { ...toRow(backup), verifiedAt: at, drilledAt: at })
    })
  }

  coverage({
    userId,
    after,
    limit,
  }: Parameters<BackupVerbs['coverage']>[0]): Promise<readonly CoveredKey[]> {
    return this.unit.verb(async (manager) => {
      if (userId !== undefined && !isStorable(userId)) return []
      const keys = covered(manager, userId)
      if (after !== undefined) keys.andWhere('handle.keyId > :after', { after })
      const found = await keys
        .select('handle.keyId', 'keyId')
        .addSelect('handle.shareId', 'shareId')
        .orderBy('handle.keyId', 'ASC')
        .limit(limit)
        .getRawMany<{ keyId: string; shareId: string }>()
      const shareIds = [...new Set(found.map(({ shareId }) => shareId))]
      const shares = byShare(await rowsOf<ShareRow>(manager, 'shares', shareIds))
      const backups = byShare(await rowsOf<BackupRow>(manager, TABLE, shareIds))
      return found.map(({ keyId, shareId }) => {
        const backup = backups.get(shareId)
        return {
          keyId,
          share: toShareRecord(shares.get(shareId)!),
          backup: backup && toBackup(backup),
        }
      })
    })
  }

  count(userId: string | undefined): Promise<readonly CoverageCount[]> {
    return this.unit.verb(async (manager) => {
      const counts = covered(manager, userId)
        .select('backup.secretFingerprint', 'fingerprint')
        .addSelect('MAX(backup.secretName)', 'name')
        .addSelect('MAX(backup.secretVersion)', 'version')
        .addSelect('COUNT(*)', 'keys')
        .addSelect('COUNT(backup.shareId)', 'exported')
        .addSelect('COUNT(backup.verifiedAt)', 'verified')
        .addSelect('COUNT(backup.drilledAt)', 'drilled')
        .groupBy('backup.secretFingerprint')
      const rows = await counts.getRawMany<CountRow>()
      return rows.map((row) => ({
        secret: hint(row.fingerprint, row.name, row.version),
        // `pg` hands wide integers out as text.
        keys: Number(row.keys),
        exported: Number(row.exported),
        verified: Number(row.verified),
        drilled: Number(row.drilled),
      }))
    })
  }

  /** @throws StoreConflict `share_gone` */
  async #before(
    manager: EntityManager,
    { userId, shareId }: BackupNote,
  ): Promise<BackupRow | undefined> {
    if (!(await manager.existsBy<ShareRow>('shares', { userId, shareId })))
      throw conflict('share_gone')
    return (await manager.findOneBy<BackupRow>(TABLE, { userId, shareId })) ?? undefined
  }

  async #replace(
    manager: EntityManager,
    before: BackupRow | undefined,
    row: BackupRow,
  ): Promise<void> {
    const { shareId, userId, ...rest } = row
    if (before === undefined) await manager.insert<BackupRow>(TABLE, row)
    else await manager.update<BackupRow>(TABLE, { shareId, userId }, rest)
  }
}

/** For those who erase a share, in their unit: what is known of its backups goes first. */
export async function forgetBackupsOf(manager: EntityManager, shareId: string): Promise<void> {
  await manager.delete<BackupRow>(TABLE, { shareId })
}

interface CountRow {
  readonly fingerprint: string | null
  readonly name: string | null
  readonly version: string | null
  readonly keys: number | string
  readonly exported: number | string
  readonly verified: number | string
  readonly drilled: number | string
}

/** Every handle of this user, or of everyone, beside the backup of its share. */
function covered(manager: EntityManager, userId: string | undefined) {
  const keys = manager
    .createQueryBuilder('key_handles', 'handle')
    .leftJoin(TABLE, 'backup', 'backup.shareId = handle.shareId')
  return userId === undefined ? keys : keys.where('handle.userId = :userId', { userId })
}

const rowsOf = <Row extends { shareId: string }>(
  manager: EntityManager,
  name: string,
  shareIds: readonly string[],
): Promise<Row[]> =>
  manager
    .createQueryBuilder<Row>(name, 'row')
    .where('row.shareId IN (:...shareIds)', { shareIds: shareIds.length === 0 ? [''] : shareIds })
    .getMany()

const byShare = <Row extends { shareId: string }>(rows: readonly Row[]) =>
  new Map(rows.map((row) => [row.shareId, row]))

const toRow = (backup: BackupNote): BackupRow => ({
  shareId: backup.shareId,
  userId: backup.userId,
  digest: toHex(backup.digest),
  exportedAt: backup.exportedAt,
  secretFingerprint: backup.secret === undefined ? null : toHex(backup.secret.fingerprint),
  secretName: backup.secret?.name ?? null,
  secretVersion: backup.secret?.version ?? null,
  verifiedAt: null,
  drilledAt: null,
})

const toBackup = (row: BackupRow): NonNullable<CoveredKey['backup']> => ({
  userId: row.userId,
  shareId: row.shareId,
  digest: fromHex(row.digest),
  exportedAt: row.exportedAt,
  secret: hint(row.secretFingerprint, row.secretName, row.secretVersion),
  verifiedAt: row.verifiedAt,
  drilledAt: row.drilledAt,
})

const hint = (
  fingerprint: string | null,
  name: string | null,
  version: string | null,
): BackupSecretHint | undefined =>
  fingerprint === null
    ? undefined
    : { fingerprint: fromHex(fingerprint), name: name ?? '', version: version ?? '' }
