import { IsNull, LessThan, Not, type EntityManager } from 'typeorm'
import type { SetupVerbs, StoredSetup } from '../vault/ports.js'
import {
  fromHex,
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
import { conflict, type Unit } from './unit.js'

/** Three states: current (record), superseded (no record, alive for runs that hold it), retired. */
interface SetupRow {
  setupId: string
  shareId: string
  peer: number
  record: Buffer | null
  createdAt: number
  supersededAt: number | null
  retiredAt: number | null
}

const TABLE = 'ot_setups'

/** Longer than any run lives; after that nobody asks whether a superseded setup is alive. */
const SUPERSEDED_KEPT_MS = 3_600_000

export const setupsTable = (engine: Engine) =>
  table<SetupRow>(TABLE, {
    columns: {
      setupId: primaryText('setup_id', 'pk_ot_setups'),
      shareId: text('share_id'),
      peer: integer('peer'),
      record: sealed(engine, 'record', { nullable: true }),
      createdAt: time('created_at'),
      supersededAt: time('superseded_at', { nullable: true }),
      retiredAt: time('retired_at', { nullable: true }),
    },
    indices: [{ name: 'ix_ot_setups_peer', columns: ['shareId', 'peer'] }],
  })

export class Setups implements SetupVerbs {
  constructor(private readonly unit: Unit) {}

  load(shareId: string, peer: number): Promise<StoredSetup | undefined> {
    return this.unit.verb(async (manager) => {
      const row = await manager.findOneBy<SetupRow>(TABLE, {
        shareId,
        peer,
        record: Not(IsNull()),
        retiredAt: IsNull(),
      })
      if (row?.record == null) return undefined
      const record = openSetup(this.unit.sealer, shareId, peer, row.setupId, row.record)
      return { setupId: fromHex(row.setupId), record }
    })
  }

  save(shareId: string, peer: number, setup: StoredSetup, at: number): Promise<void> {
    return this.unit.verb(async (manager) => {
      const setupId = toHex(setup.setupId)
      if (!(await manager.existsBy('shares', { shareId }))) throw conflict('share_gone')
      const old = { shareId, peer, retiredAt: IsNull() }
      await manager.delete<SetupRow>(TABLE, {
        ...old,
        supersededAt: LessThan(at - SUPERSEDED_KEPT_MS),
      })
      const current = { ...old, supersededAt: IsNull() }
      await manager.update<SetupRow>(TABLE, current, { record: null, supersededAt: at })
      await manager.insert<SetupRow>(TABLE, {
        setupId,
        shareId,
        peer,
        record: this.unit.sealer.seal(TABLE, 'record', [setupId, shareId, peer], setup.record),
        createdAt: at,
        supersededAt: null,
        retiredAt: null,
      })
    })
  }

  retire(shareId: string, peer: number, setupId: Uint8Array, at: number): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const id = toHex(setupId)
      const row = await manager.findOneBy<SetupRow>(TABLE, { setupId: id })
      if (row === null) {
        await manager.insert<SetupRow>(TABLE, {
          setupId: id,
          shareId,
          peer,
          record: null,
          createdAt: at,
          supersededAt: null,
          retiredAt: at,
        })
        return true
      }
      if (row.retiredAt !== null) return false
      await manager.update<SetupRow>(TABLE, { setupId: id }, { record: null, retiredAt: at })
      return true
    })
  }

  isAlive(setupId: Uint8Array): Promise<boolean> {
    return this.unit.verb((manager) =>
      manager.existsBy<SetupRow>(TABLE, { setupId: toHex(setupId), retiredAt: IsNull() }),
    )
  }
}

/** @throws SealedValueInvalid */
export const openSetup = (
  sealer: Sealer,
  shareId: string,
  peer: number,
  setupId: string,
  record: Uint8Array,
): Uint8Array => sealer.open(TABLE, 'record', [setupId, shareId, peer], record)

/** For a share that goes: its runs must notice. */
export async function retireAllOf(
  manager: EntityManager,
  shareId: string,
  at: number,
): Promise<void> {
  const alive = { shareId, retiredAt: IsNull() }
  await manager.update<SetupRow>(TABLE, alive, { record: null, retiredAt: at })
}
