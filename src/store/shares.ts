import type { Provenance, ShareRecord, ShareVerbs } from '../vault/ports.js'
import { forgetBackupsOf } from './backups.js'
import {
  fromHex,
  hexText,
  integer,
  primaryText,
  sealed,
  table,
  text,
  time,
  toHex,
  type Engine,
} from './columns.js'
import type { Sealer } from './sealer.js'
import { retireAllOf } from './setups.js'
import { addTombstone } from './tombstones.js'
import { conflict, type Unit } from './unit.js'
import { assertUser } from './users.js'

/** A share without its sealed record. */
export interface ShareRow {
  shareId: string
  userId: string
  publicKey: string
  party: number
  epoch: number
  threshold: number
  parties: number
  keygenId: string
  provenance: Provenance
  createdAt: number
  confirmedAt: number | null
}

export interface SealedShareRow extends ShareRow {
  record: Buffer
}

const TABLE = 'shares'

export const sharesTable = (engine: Engine) =>
  table<SealedShareRow>(TABLE, {
    columns: {
      shareId: primaryText('share_id', 'pk_shares'),
      userId: text('user_id'),
      publicKey: hexText('public_key'),
      party: integer('party'),
      epoch: integer('epoch'),
      threshold: integer('threshold'),
      parties: integer('parties'),
      keygenId: hexText('keygen_id'),
      provenance: text('provenance'),
      record: sealed(engine, 'record', { select: false }),
      createdAt: time('created_at'),
      confirmedAt: time('confirmed_at', { nullable: true }),
    },
    uniques: [
      { name: 'uq_shares_identity', columns: ['userId', 'publicKey', 'party', 'epoch'] },
      { name: 'uq_shares_owner', columns: ['userId', 'shareId'] },
    ],
    foreignKeys: [
      {
        name: 'fk_shares_user',
        target: 'users',
        columnNames: ['userId'],
        referencedColumnNames: ['userId'],
      },
    ],
  })

/** Bound together by the seal: none of these can be changed in the database without the record refusing to open. */
type ShareIdentity = Pick<ShareRow, 'shareId' | 'userId' | 'publicKey' | 'party' | 'epoch'> & {
  provenance: string
}

const identityOf = (row: ShareIdentity) => [
  row.shareId,
  row.userId,
  row.publicKey,
  row.party,
  row.epoch,
  row.provenance,
]

export class Shares implements ShareVerbs {
  constructor(private readonly unit: Unit) {}

  insert(share: ShareRecord, record: Uint8Array): Promise<void> {
    return this.unit.verb(async (manager) => {
      const row = toShareRow(share)
      await assertUser(manager, row.userId)
      await manager.insert<SealedShareRow>(TABLE, { ...row, record: this.#seal(row, record) })
    })
  }

  findForUser(userId: string, publicKey: Uint8Array): Promise<readonly ShareRecord[]> {
    return this.unit.verb(async (manager) => {
      const rows = await manager.find<ShareRow>(TABLE, {
        where: { userId, publicKey: toHex(publicKey) },
        order: { epoch: 'ASC', party: 'ASC' },
      })
      return rows.map(toShareRecord)
    })
  }

  open(userId: string, shareId: string): Promise<Uint8Array | undefined> {
    return this.unit.verb(async (manager) => {
      const row = await this.#sealedRow(manager, userId, shareId)
      return row === undefined ? undefined : this.#open(row)
    })
  }

  confirm(userId: string, shareId: string, at: number): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const row = await manager.findOneBy<ShareRow>(TABLE, { shareId, userId })
      if (row === null) return false
      if (row.confirmedAt === null)
        await manager.update<ShareRow>(TABLE, { shareId, userId }, { confirmedAt: at })
      return true
    })
  }

  markEncrypted(userId: string, shareId: string): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const row = await this.#sealedRow(manager, userId, shareId)
      if (row === undefined) return false
      if (row.provenance === 'encrypted') return true
      const opened = this.#open(row)
      const provenance = 'encrypted'
      const record = this.#seal({ ...row, provenance }, opened)
      opened.fill(0)
      await manager.update<SealedShareRow>(TABLE, { shareId, userId }, { provenance, record })
      return true
    })
  }

  erase(userId: string, shareId: string, at: number): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const row = await manager.findOneBy<ShareRow>(TABLE, { shareId, userId })
      if (row === null) return false
      if (await manager.existsBy('key_handles', { shareId })) throw conflict('share_has_handles')
      const { publicKey, party } = row
      await addTombstone(
        manager,
        { kind: 'share', userId, publicKey: fromHex(publicKey), party },
        at,
      )
      await retireAllOf(manager, shareId, at)
      await forgetBackupsOf(manager, shareId)
      await manager.delete<ShareRow>(TABLE, { shareId, userId })
      return true
    })
  }

  async #sealedRow(
    manager: Parameters<Parameters<Unit['verb']>[0]>[0],
    userId: string,
    shareId: string,
  ): Promise<SealedShareRow | undefined> {
    const row = await manager.findOneBy<ShareRow>(TABLE, { shareId, userId })
    if (row === null) return undefined
    const { record } = await manager.findOneOrFail<SealedShareRow>(TABLE, {
      select: { shareId: true, record: true },
      where: { shareId, userId },
    })
    return { ...row, record }
  }

  #seal(row: ShareRow, record: Uint8Array): Buffer {
    return sealShare(this.unit.sealer, row, record)
  }

  #open(row: SealedShareRow): Uint8Array {
    return openShare(this.unit.sealer, row)
  }
}

export const sealShare = (sealer: Sealer, row: ShareIdentity, record: Uint8Array): Buffer =>
  sealer.seal(TABLE, 'record', identityOf(row), record)

/** @throws SealedValueInvalid */
export const openShare = (sealer: Sealer, row: ShareIdentity & { record: Buffer }): Uint8Array =>
  sealer.open(TABLE, 'record', identityOf(row), row.record)

const toShareRow = (share: ShareRecord): ShareRow => ({
  shareId: share.shareId,
  userId: share.userId,
  publicKey: toHex(share.publicKey),
  party: share.party,
  epoch: share.epoch,
  threshold: share.threshold,
  parties: share.parties,
  keygenId: toHex(share.keygenId),
  provenance: share.provenance,
  createdAt: share.createdAt,
  confirmedAt: share.confirmedAt,
})

export const toShareRecord = (row: ShareRow): ShareRecord => ({
  shareId: row.shareId,
  userId: row.userId,
  publicKey: fromHex(row.publicKey),
  party: row.party,
  epoch: row.epoch,
  threshold: row.threshold,
  parties: row.parties,
  keygenId: fromHex(row.keygenId),
  provenance: row.provenance,
  createdAt: row.createdAt,
  confirmedAt: row.confirmedAt,
})
