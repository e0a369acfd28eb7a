import { createHash } from 'node:crypto'
import { In, LessThan, type EntitySchema } from 'typeorm'
import type { AccountBundle, Bundle } from '@vertex/directory/keypackage'
import {
  bytesType,
  isStorable,
  primaryText,
  table,
  text,
  time,
  type Engine,
} from '../../store/columns.js'
import type { Unit, UnitStore } from '../../store/index.js'
import { appendLeaf, eraseLeaf } from '../log/leaves.js'

interface KeyPackageRow {
  /** In the order in which they came, whatever the clock says: two of one millisecond have two. */
  id?: number
  deviceId: string
  payload: Uint8Array
  signature: Uint8Array
  receivedAt: number
}

interface AccountRow {
  accountId: string
  /** In digits: an unsigned number of 64 bits has no column type of its own. */
  lamport: string
  payload: Uint8Array
  signature: Uint8Array
  updatedAt: number
}

const KEY_PACKAGES = 'key_packages'
const ACCOUNTS = 'account_bundles'
/** Key packages are not logged: they are many, short-lived and personal. */
const KIND = 'account-bundle'

export const keyPackageTables = (engine: Engine): readonly EntitySchema[] => {
  const bytes = (name: string) => ({ type: bytesType(engine), name }) as const
  return [
    table<KeyPackageRow>(KEY_PACKAGES, {
      columns: {
        id: {
          type: engine === 'postgres' ? 'bigint' : 'integer',
          name: 'id',
          primary: true,
          primaryKeyConstraintName: 'pk_key_packages',
          generated: 'increment',
        },
        deviceId: text('device_id'),
        payload: bytes('payload'),
        signature: bytes('signature'),
        receivedAt: time('received_at'),
      },
      indices: [
        { name: 'ix_key_packages_device', columns: ['deviceId', 'id'] },
        { name: 'ix_key_packages_received', columns: ['receivedAt'] },
      ],
    }),
    table<AccountRow>(ACCOUNTS, {
      columns: {
        accountId: primaryText('account_id', 'pk_account_bundles'),
        lamport: text('lamport'),
        payload: bytes('payload'),
        signature: bytes('signature'),
        updatedAt: time('updated_at'),
      },
      indices: [{ name: 'ix_account_bundles_updated', columns: ['updatedAt'] }],
    }),
  ]
}

/** What is kept of a bundle, and given to whoever asks. */
export interface Kept {
  readonly payload: Buffer
  readonly signature: Buffer
}

interface KeptAccount extends Kept {
  readonly lamport: string
  readonly updatedAt: number
}

/** How long bundles are kept, and how many. */
export interface Retention {
  readonly retentionMs: number
  /** Key packages of one device. */
  readonly maxPerIdentity: number
}

/** So many rows are deleted at once. */
const STEP = 200

/** Signed bytes by the name of the key that signed them. */
export class Bundles {
  constructor(
    private readonly store: UnitStore,
    private readonly now: () => number,
  ) {}

  async addKeyPackage({ id: deviceId, payload, signature }: Bundle): Promise<void> {
    const row = { deviceId, payload, signature, receivedAt: this.now() }
    await this.store.inUnit((unit) =>
      unit.verb((manager) => manager.insert<KeyPackageRow>(KEY_PACKAGES, row)),
    )
  }

  /** The one that came last. */
  async latestKeyPackage(deviceId: string): Promise<Kept | undefined> {
    const [row] = await this.#select(
      `SELECT payload, signature FROM ${KEY_PACKAGES} WHERE device_id = $1 ORDER BY id DESC LIMIT 1`,
      deviceId,
    )
    return row as Kept | undefined
  }

  /** @returns false when the one that is there is as new or newer */
  putAccount({ id: accountId, lamport, payload, signature }: AccountBundle): Promise<boolean> {
    const at = this.now()
    const row = { accountId, lamport: String(lamport), payload, signature, updatedAt: at }
    return this.store.inUnit(async (unit) => {
      const before = await unit.verb((manager) =>
        manager.findOne<AccountRow>(ACCOUNTS, {
          select: { accountId: true, lamport: true },
          where: { accountId },
        }),
      )
      if (before !== null && BigInt(before.lamport) >= lamport) return false
      await unit.verb(async (manager) => {
        if (before === null) await manager.insert<AccountRow>(ACCOUNTS, row)
        else await manager.update<AccountRow>(ACCOUNTS, { accountId }, row)
      })
      // The bytes of the one before are gone with its row.
      if (before !== null) await eraseLeaf(unit, KIND, recordOf(before).source)
      const digest = createHash('sha256').update(payload).update(signature).digest()
      await appendLeaf(unit, { ...recordOf(row), subject: accountId, digest, at })
      return true
    })
  }

  async account(accountId: string): Promise<KeptAccount | undefined> {
    const [row] = await this.#select(
      `SELECT lamport, payload, signature, updated_at FROM ${ACCOUNTS} WHERE account_id = $1`,
      accountId,
    )
    if (row === undefined) return undefined
    const { payload, signature } = row as unknown as Kept
    const [lamport, updatedAt] = [String(row['lamport']), Number(row['updated_at'])]
    return { payload, signature, lamport, updatedAt }
  }

  /**
   * Deletes what is older than the retention, and of each device all but the last ones. In steps, between which others
   * get their turn; what one step has deleted stays so, whatever becomes of the next.
   */
  async prune({ retentionMs, maxPerIdentity }: Retention): Promise<void> {
    const before = this.now() - retentionMs
    const old = `SELECT id FROM ${KEY_PACKAGES} WHERE received_at < $1`
    await this.#inSteps(old, [before], deletePackages)
    await this.#pruneDevices(maxPerIdentity)
    const oldAccounts = `SELECT account_id AS id FROM ${ACCOUNTS} WHERE updated_at < $1`
    await this.#inSteps(oldAccounts, [before], (unit, ids) => eraseAccounts(unit, ids, before))
  }

  /** Once through the devices in the order of their index, so that many rows of few, or of many, take no longer. */
  async #pruneDevices(most: number): Promise<void> {
    const tooMany = `SELECT device_id AS id FROM ${KEY_PACKAGES} WHERE device_id > $1
      GROUP BY device_id HAVING count(*) > $2 ORDER BY device_id LIMIT ${STEP}`
    let last = ''
    let devices: readonly Row[]
    do {
      devices = await this.store.select(tooMany, [last, most])
      for (const { id } of devices) {
        last = String(id)
        const [oldest] = await this.store.select(
          `SELECT id FROM ${KEY_PACKAGES} WHERE device_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2`,
          [last, most - 1],
        )
        const older = `SELECT id FROM ${KEY_PACKAGES} WHERE device_id = $1 AND id < $2`
        await this.#inSteps(older, [last, Number(oldest?.['id'] ?? 0)], deletePackages)
      }
    } while (devices.length === STEP)
  }

  /**
   * What to delete is found outside of the units that delete it: a unit would have to see all rows, and race against
   * everybody who adds one.
   */
  async #inSteps(
    find: string,
    values: readonly (string | number)[],
    erase: (unit: Unit, found: readonly Row[]) => Promise<void>,
  ): Promise<void> {
    let found: readonly Row[]
    do {
      found = await this.store.select(`${find} LIMIT ${STEP}`, values)
      if (found.length > 0) await this.store.inUnit((unit) => erase(unit, found))
    } while (found.length === STEP)
  }

  #select(sql: string, id: string) {
    return isStorable(id) ? this.store.select(sql, [id]) : Promise.resolve([])
  }
}

type Row = Readonly<Record<string, unknown>>

async function deletePackages(unit: Unit, found: readonly Row[]): Promise<void> {
  const id = In(found.map((row) => Number(row['id'])))
  await unit.verb((manager) => manager.delete<KeyPackageRow>(KEY_PACKAGES, { id }))
}

/** Of these accounts those that are still old; their entries in the log lead to nobody any more. */
async function eraseAccounts(unit: Unit, found: readonly Row[], before: number): Promise<void> {
  const accountId = In(found.map(({ id }) => String(id)))
  const rows = await unit.verb((manager) =>
    manager.find<AccountRow>(ACCOUNTS, {
      select: { accountId: true, lamport: true },
      where: { accountId, updatedAt: LessThan(before) },
    }),
  )
  for (const row of rows) {
    await unit.verb((manager) => manager.delete<AccountRow>(ACCOUNTS, { accountId: row.accountId }))
    await eraseLeaf(unit, KIND, recordOf(row).source)
  }
}

/** An account's bundle, in the words of the log. */
export const recordOf = ({ accountId, lamport }: Pick<AccountRow, 'accountId' | 'lamport'>) =>
  ({
    kind: KIND,
    source: `${accountId}/${lamport}`,
  }) as const
