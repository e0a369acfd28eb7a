import { denied, VaultError } from './errors.js'
import { StorageUnavailable, StoreConflict, type UnitOfWork, type VaultStore } from './ports.js'

/** How often a unit is tried again after it lost a race for something unique. */
const RACES = 3

/** Units of work with the vault's own errors. */
export class Units {
  constructor(private readonly store: VaultStore) {}

  /** As `VaultStore.run`. @throws VaultError `storage_unavailable` in place of StorageUnavailable, `access_denied` of `user_gone` */
  async run<T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
    try {
      return await this.store.run(work)
    } catch (e) {
      throw asVaultError(e)
    }
  }

  /**
   * For a unit that first looks and then inserts: when another one inserted in between, it looks again and finds
   * what the other made.
   */
  async runAgainOnConflict<T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
    for (let race = 0; ; race++) {
      try {
        return await this.run(work)
      } catch (e) {
        if (!(e instanceof StoreConflict) || race === RACES) throw e
      }
    }
  }

  /** @throws VaultError `storage_unavailable` */
  async check(): Promise<void> {
    try {
      await this.store.check()
    } catch (e) {
      throw asVaultError(e)
    }
  }
}

function asVaultError(e: unknown): unknown {
  if (e instanceof StoreConflict && e.conflict === 'user_gone')
    // Deleted while the request was under way: its API key went with it.
    return denied()
  if (!(e instanceof StorageUnavailable)) return e
  return new VaultError(
    'storage_unavailable',
    'the database does not answer; try again',
    {},
    { cause: e },
  )
}
