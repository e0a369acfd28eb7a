import { randomBytes } from 'node:crypto'
import type {
  HandleRecord,
  PendingKey,
  ShareRecord,
  UnitOfWork,
  UserRecord,
  VaultStore,
} from '../../src/vault/ports.js'

/** Rows for tests: everything random unless told otherwise. */
export const bytes = (length: number) => new Uint8Array(randomBytes(length))
export const id = () => randomBytes(16).toString('hex')

export const aUser = (more: Partial<UserRecord> = {}): UserRecord => ({
  userId: id(),
  name: `user ${id()}`,
  createdAt: 1_000,
  recovered: false,
  ...more,
})

export const aPendingKey = (userId: string, more: Partial<PendingKey> = {}): PendingKey => ({
  keyId: id(),
  userId,
  keygenId: bytes(33),
  identitySecret: bytes(32),
  createdAt: 2_000,
  ...more,
})

export const aShare = (userId: string, more: Partial<ShareRecord> = {}): ShareRecord => ({
  shareId: id(),
  userId,
  publicKey: bytes(33),
  party: 2,
  epoch: 0,
  threshold: 2,
  parties: 2,
  keygenId: bytes(33),
  provenance: 'generated',
  createdAt: 3_000,
  confirmedAt: null,
  ...more,
})

export const aHandle = (share: ShareRecord, more: Partial<HandleRecord> = {}): HandleRecord => ({
  keyId: id(),
  userId: share.userId,
  shareId: share.shareId,
  sourceDigest: null,
  createdAt: 4_000,
  ...more,
})

export async function insertUser(store: VaultStore): Promise<UserRecord> {
  const user = aUser()
  await store.run((uow) => uow.users.insert(user))
  return user
}

/** A user with a share and one key_id. */
export async function insertKey(store: VaultStore, more: Partial<ShareRecord> = {}) {
  const user = await insertUser(store)
  const share = aShare(user.userId, more)
  const handle = aHandle(share)
  const record = bytes(200)
  await store.run((uow) => insertShare(uow, share, handle, record))
  return { user, share, handle, record }
}

export async function insertShare(
  uow: UnitOfWork,
  share: ShareRecord,
  handle: HandleRecord,
  record: Uint8Array,
): Promise<void> {
  await uow.shares.insert(share, record)
  await uow.handles.insert(handle)
}
