import { deletedMeanwhile, denied, VaultError } from './errors.js'
import {
  StorageUnavailable,
  StoreConflict,
  type SigningRead,
  type UnitOfWork,
  type VaultStore,
} from './ports.js'

/** How often a unit is tried again after it lost a race for something unique. */
const RACES = 3

/** Units of work with the vault's own errors. */
export class Units {
  constructor(private readonly store: VaultStore) {}

  /**
   * As `VaultStore.run`.
   * @throws VaultError `storage_unavailable`, `access_denied`, `key_id_not_exists` in place of StorageUnavailable and the
   * conflicts `user_gone` and `share_gone`
   */
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

  /** As `VaultStore.readForSigning`. @throws VaultError `storage_unavailable` */
  async readForSigning(
    userId: string,
    keyId: string,
    since: number,
  ): Promise<SigningRead | undefined> {
    try {
      return await this.store.readForSigning(userId, keyId, since)
    } catch (e) {
      throw asVaultError(e)
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

/** What a client is told of an error of the store; any other stays as it is. */
export function asVaultError(e: unknown): unknown {
  if (e instanceof StoreConflict) {
    // Deleted while the request was under way; a user's API keys went along.
    if (e.conflict === 'user_gone') return denied()
    if (e.conflict === 'share_gone') return deletedMeanwhile()
  }
  if (!(e instanceof StorageUnavailable)) return e
  return new VaultError(
    'storage_unavailable',
    'the database does not answer; try again',
    {},
    { cause: e },
  )
}
