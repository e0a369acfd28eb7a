import { randomBytes } from 'node:crypto'
import { StorageUnavailable, type MetaVerbs, type VaultMeta } from '../vault/ports.js'
import { integer, sealed, table, text, time, toHex, type Engine } from './columns.js'
import { StoreRefused } from './errors.js'
import type { Sealer } from './sealer.js'
import type { Unit } from './unit.js'

interface MetaRow {
  id: number
  generation: string
  bornAt: number
  sentinel: Buffer
  /** When this was last written, to see whether it can be. */
  checkedAt: number
}

const TABLE = 'meta'

export const metaTable = (engine: Engine) =>
  table<MetaRow>(TABLE, {
    columns: {
      id: integer('id', { primary: true, primaryKeyConstraintName: 'pk_meta' }),
      generation: text('generation'),
      bornAt: time('born_at'),
      sentinel: sealed(engine, 'sentinel'),
      checkedAt: time('checked_at'),
    },
  })

/** There is one row. */
const ID = 1
const SENTINEL = new TextEncoder().encode('vertex storage key')

export class Meta implements MetaVerbs {
  constructor(private readonly unit: Unit) {}

  get(): Promise<VaultMeta> {
    return this.unit.verb(async (manager) => {
      const row = await manager.findOne<MetaRow>(TABLE, {
        select: { id: true, generation: true, bornAt: true },
        where: { id: ID },
      })
      // Somebody emptied the database under a running server: it is not the one this server was started on.
      if (row === null) throw new StorageUnavailable()
      return { generation: row.generation, bornAt: row.bornAt }
    })
  }

  /** Proves that this database can be written, by writing. @throws StorageUnavailable */
  async touch(at: number): Promise<void> {
    await this.get()
    await this.unit.verb((manager) => manager.update<MetaRow>(TABLE, { id: ID }, { checkedAt: at }))
  }

  restored(at: number): Promise<VaultMeta> {
    return this.unit.verb(async (manager) => {
      const meta = { generation: newGeneration(), bornAt: at }
      await manager.update<MetaRow>(TABLE, { id: ID }, meta)
      await manager.deleteAll('ot_setups')
      return meta
    })
  }

  /**
   * Gives a new database its generation, or proves that the storage key is the one of this database.
   * @throws StoreRefused with the names of the settings when the sentinel does not open
   */
  begin(at: number): Promise<VaultMeta> {
    return this.unit.verb(async (manager) => {
      const row = await manager.findOneBy<MetaRow>(TABLE, { id: ID })
      if (row !== null) {
        openSentinel(this.unit.sealer, row.sentinel)
        return { generation: row.generation, bornAt: row.bornAt }
      }
      const meta = { generation: newGeneration(), bornAt: at }
      const sentinel = this.unit.sealer.seal(TABLE, 'sentinel', [ID], SENTINEL)
      await manager.insert<MetaRow>(TABLE, { id: ID, ...meta, sentinel, checkedAt: at })
      return meta
    })
  }
}

/** Proves that the storage key is the one of this database. @throws StoreRefused with the names of the settings */
export function openSentinel(sealer: Sealer, sealed: Uint8Array): void {
  try {
    sealer.open(TABLE, 'sentinel', [ID], sealed)
  } catch {
    throw new StoreRefused(
      'this database was made with another storage key: check VERTEX_STORAGE_KEY_FILE or ' +
        'VERTEX_STORAGE_SECRET_NAME',
    )
  }
}

const newGeneration = () => toHex(randomBytes(16))
