import type { DrillReport, RoomLink } from '@vertex/mpc'

/**
 * What the vault needs from the world. The domain compiles against these types and nothing else; `store`, `seal` and
 * `relay` implement them, `compose.ts` puts them together.
 *
 * Conventions: times are whole milliseconds since 1970 and always come from the caller; ids are text chosen by the
 * domain (never by a client, except `key_id`s that are only looked up); bytes are `Uint8Array`.
 */

/** The only source of time of the domain. */
export interface Clock {
  /** Milliseconds since 1970, whole. */
  now(): number
}

// ---------------------------------------------------------------------------------------------------- store: errors

/**
 * The database cannot be asked now: refused, lost, locked, read-only, a standby, disk full, out of time. Nothing of
 * the unit of work was kept, unless the connection broke during the commit itself: then nobody knows, and the domain
 * must not claim either. Answered as `storage_unavailable`.
 */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable'
  constructor(options?: { cause?: unknown }) {
    super('the database is not available', options)
  }
}

/** What was already there. */
export type Conflict =
  | 'user_id'
  | 'user_name'
  | 'user_has_keys'
  | 'user_gone'
  | 'api_key_id'
  | 'key_id'
  | 'share'
  | 'share_has_handles'
  | 'share_gone'
  | 'source_digest'
  | 'setup_id'

/**
 * Something unique exists already, something still hangs on what should go, or what it should hang on is gone. Ends the unit of work: it is rolled
 * back even if the error is caught inside.
 */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict'
  constructor(readonly conflict: Conflict) {
    super(`the store refuses: ${conflict.replaceAll('_', ' ')} conflict`)
  }
}

/** A sealed value does not open under the storage key for the row it stands in: damaged, swapped or foreign. */
export class SealedValueInvalid extends Error {
  override readonly name = 'SealedValueInvalid'
  constructor(
    readonly table: string,
    readonly column: string,
  ) {
    super(`a sealed value of ${table}.${column} does not open`)
  }
}

// ---------------------------------------------------------------------------------------------------- store

/** The vault's memory. Acknowledged means durable: when `run` resolves, the unit of work is on disk. */
export interface VaultStore {
  /**
   * One unit of work = one transaction: all of it happens, or nothing. Units behave as if they ran one after the
   * other, reads included.
   *
   * `work` must do database work and nothing else: no protocol, no network, no waiting, nothing that cannot be done
   * twice, because a unit that lost a race against another is run again from the start. It must await everything it
   * starts. A `run` inside a `run` joins the outer unit.
   *
   * @throws StorageUnavailable, StoreConflict, and whatever `work` throws (the unit is then rolled back)
   */
  run<T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T>
  /**
   * Everything that a signature with this key begins with, in one statement and of one moment, outside of any unit of
   * work. Undefined when there is no such key with a share of this user, and on a database that may be behind: then a
   * unit of work says which.
   * @param since failed checks after this time count
   * @throws StorageUnavailable, SealedValueInvalid for the share
   */
  readForSigning(userId: string, keyId: string, since: number): Promise<SigningRead | undefined>
  /**
   * Appends to the audit log, in a transaction of its own. Whoever appends does so one after the other, on all servers
   * of one database.
   * @param make makes the new records; it may be called again, with another last record, when nothing was kept
   * @param own a place whose record `make` is to be given too when the log goes on after it
   * @throws StorageUnavailable nothing was appended, unless the connection broke during the commit
   */
  appendAudit(make: MakeAudit, own?: number): Promise<void>
  /** The next records of the audit log after one, in order, at most so many. @throws StorageUnavailable */
  readAudit(after: number, most: number): Promise<readonly AuditRow[]>
  /**
   * Resolves when the database is reachable, migrated, the primary, and could be written within the last second. Not
   * to be called inside a unit. @throws StorageUnavailable
   */
  check(): Promise<void>
  /** Waits for units under way, then closes. Later calls of `run` throw StorageUnavailable. Idempotent. */
  close(): Promise<void>
}

/** A record of the audit log: its place, from 1, and its text. docs/spec/audit-log.md */
export interface AuditRow {
  readonly seq: number
  readonly line: string
}

/** Makes what is appended to the audit log, from how it ends. */
export type MakeAudit = (
  last: AuditRow | undefined,
  generation: string,
  own: AuditRow | undefined,
) => readonly AuditRow[]

/** What is recorded before and after. A new one is added here, and in docs/spec/audit-log.md, section 2. */
export type DeedAction =
  | 'export'
  | 'import'
  | 'keygen'
  | 'sign'
  | 'drill'
  | 'rewrap'
  | 'verify'
  | 'recover'
  | 'delete_key'
  | 'create_user'
  | 'generate_api_key'
  | 'revoke_api_key'
  | 'delete_user'
  | 'delete_tombstone'

/** One record of the audit log, but for what the log adds by itself. docs/spec/audit-log.md, section 1 */
export interface AuditEntry {
  readonly request: string
  readonly actor: 'user' | 'admin'
  readonly user: string
  readonly apiKey: string
  readonly action: DeedAction
  readonly key: string
  readonly of: number
  readonly outcome: string
  readonly values: readonly (readonly [name: string, hash: string])[]
}

export interface AuditLog {
  /**
   * Resolves with the record's place once it is durable.
   * @param when `soon` for what nobody waits for; it may wait a moment for other records
   * @throws StorageUnavailable
   */
  append(entry: AuditEntry, when?: 'now' | 'soon'): Promise<number>
  /** Keyed hash of a value. */
  hash(name: string, value: string): string
  /** Whether it can be written, as far as is known. */
  check(): Promise<boolean>
  /** Resolves when nothing is being written any more. */
  idle(): Promise<void>
}

/** The verbs of one unit of work. Valid only until the `work` that received it has settled. */
export interface UnitOfWork {
  readonly meta: MetaVerbs
  readonly secrets: SecretVerbs
  readonly users: UserVerbs
  readonly apiKeys: ApiKeyVerbs
  readonly pendingKeys: PendingKeyVerbs
  readonly shares: ShareVerbs
  readonly handles: HandleVerbs
  readonly backups: BackupVerbs
  readonly setups: SetupVerbs
  readonly failures: FailureVerbs
  readonly tombstones: TombstoneVerbs
}

/** Which database this is. A new one, or one put back from an older copy, is another generation. */
export interface VaultMeta {
  /** 32 lower-case hex characters, random. */
  readonly generation: string
  readonly bornAt: number
}

export interface MetaVerbs {
  get(): Promise<VaultMeta>
  /** After a database was put back from a copy: new generation and birth time, every OT setup deleted. */
  restored(at: number): Promise<VaultMeta>
}

/** `vault` is no secret: the name of the vault, in the place of a fingerprint. Every key is derived with it. */
export type SecretKind = 'backup' | 'storage' | 'vault'

/** A secret that this database has been used with. Never the secret itself. */
export interface RecordedSecret {
  readonly kind: SecretKind
  /** Lower-case hex. */
  readonly fingerprint: string
  /** Where it was found, for people: the name and version in the key vault, or the path of the file. */
  readonly name: string
  readonly version: string
  readonly recordedAt: number
}

export interface SecretVerbs {
  /** Remembers a secret; one that is known already keeps its first entry. Answers whether it was new. */
  record(secret: RecordedSecret): Promise<boolean>
  /** Remembers a secret as the last of its kind, under the name and version that it has now, whenever it came first. */
  recordNewest(secret: RecordedSecret): Promise<void>
  /** All of one kind, oldest first: the last is the one that was last the newest. */
  list(kind: SecretKind): Promise<readonly RecordedSecret[]>
}

export interface UserRecord {
  readonly userId: string
  readonly name: string
  readonly createdAt: number
  /** Re-created from a valid API key after a loss. */
  readonly recovered: boolean
}

export interface UserVerbs {
  /** @throws StoreConflict `user_id` or `user_name` */
  insert(user: UserRecord): Promise<void>
  byId(userId: string): Promise<UserRecord | undefined>
  byName(name: string): Promise<UserRecord | undefined>
  /**
   * Deletes a user with its API keys and pending keys and leaves tombstones of the id, the name and every key.
   * Answers false when there was none (a tombstone of the id is left all the same).
   * @throws StoreConflict `user_has_keys` while a key_id of the user exists
   */
  delete(userId: string, at: number): Promise<boolean>
}

export interface ApiKeyRecord {
  readonly apiKeyId: string
  readonly userId: string
  /** 32 bytes: hash of the whole key as the client sends it. */
  readonly secretHash: Uint8Array
  readonly issuedAt: number
  readonly expiresAt: number | null
  /** Re-created from the key itself after a loss. */
  readonly recovered: boolean
}

export interface ApiKeyVerbs {
  /** @throws StoreConflict `api_key_id`, `user_gone` */
  insert(apiKey: ApiKeyRecord): Promise<void>
  /** Not revoked ones only. Without a user, because this is how a caller is recognised. */
  byId(apiKeyId: string): Promise<ApiKeyRecord | undefined>
  /** Deletes the key and leaves its tombstone (even when it is not known). Answers whether there was one. */
  revoke(userId: string, apiKeyId: string, at: number): Promise<boolean>
}

/** A key_id handed out by `create`, before keygen. */
export interface PendingKeyRecord {
  readonly keyId: string
  readonly userId: string
  /** Public identity of this party for this key, 33 bytes. */
  readonly keygenId: Uint8Array
  readonly createdAt: number
}

export interface PendingKey extends PendingKeyRecord {
  /** Private half of the identity, 32 bytes. */
  readonly identitySecret: Uint8Array
}

export interface PendingKeyVerbs {
  /** @throws StoreConflict `key_id`, `user_gone` */
  insert(key: PendingKey): Promise<void>
  /** Of this user; anybody else's is undefined exactly as a random one. Opens the secret. */
  find(userId: string, keyId: string): Promise<PendingKey | undefined>
  /** As `find`, and deletes it: of two units that take the same key, one gets it. */
  take(userId: string, keyId: string): Promise<PendingKey | undefined>
  /** Deletes it. Answers whether there was one. */
  delete(userId: string, keyId: string): Promise<boolean>
  listForUser(userId: string): Promise<readonly PendingKeyRecord[]>
  /** Deletes those of this user that were made before a time. Answers how many are left. */
  sweep(userId: string, before: number): Promise<number>
}

/**
 * How a share came here. `encrypted` is for ever: such a share never leaves in the clear. Sealed together with the
 * share, so that it cannot be changed in the database.
 */
export type Provenance = 'generated' | 'encrypted' | 'plaintext'

/** What is known of a share without opening it. Unique by (user, public key, party, epoch). */
export interface ShareRecord {
  /** 32 lower-case hex characters, chosen by the domain; never leaves the vault. */
  readonly shareId: string
  readonly userId: string
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  readonly party: number
  readonly epoch: number
  readonly threshold: number
  readonly parties: number
  /** Public identity of this party for this key, 33 bytes. */
  readonly keygenId: Uint8Array
  readonly provenance: Provenance
  readonly createdAt: number
  /** When keygen closed, or the first run with an imported share proved its counterpart; null until then. */
  readonly confirmedAt: number | null
}

export interface ShareVerbs {
  /** Seals `record` (an encoded KeyShare) and keeps it. @throws StoreConflict `share` when the share exists, `user_gone` */
  insert(share: ShareRecord, record: Uint8Array): Promise<void>
  /** All shares of this user and public key: any party, any epoch, oldest epoch first. */
  findForUser(userId: string, publicKey: Uint8Array): Promise<readonly ShareRecord[]>
  /** The encoded KeyShare, opened. The caller wipes it. @throws SealedValueInvalid */
  open(userId: string, shareId: string): Promise<Uint8Array | undefined>
  /** Sets `confirmedAt` unless it is set. Answers whether the share exists. */
  confirm(userId: string, shareId: string, at: number): Promise<boolean>
  /** From now on the provenance is `encrypted`. Answers whether the share exists. */
  markEncrypted(userId: string, shareId: string): Promise<boolean>
  /**
   * Erases a share with its OT setups and leaves its tombstone. Answers whether there was one.
   * @throws StoreConflict `share_has_handles` while a key_id leads to it
   */
  erase(userId: string, shareId: string, at: number): Promise<boolean>
}

/** A key_id and the share it leads to. */
export interface HandleRecord {
  readonly keyId: string
  readonly userId: string
  readonly shareId: string
  /** 32 bytes: digest of the imported blob; null when the key_id comes from keygen. Unique by user. */
  readonly sourceDigest: Uint8Array | null
  readonly createdAt: number
}

export interface KeyRecord {
  readonly handle: HandleRecord
  readonly share: ShareRecord
}

export interface HandleVerbs {
  /** The share must exist and belong to the user. @throws StoreConflict `key_id` or `source_digest` */
  insert(handle: HandleRecord): Promise<void>
  /** Of this user; anybody else's key_id is undefined exactly as a random one. */
  find(userId: string, keyId: string): Promise<KeyRecord | undefined>
  /** The handle that the first import of this blob by this user made. */
  findByDigest(userId: string, sourceDigest: Uint8Array): Promise<KeyRecord | undefined>
  /** Oldest first. */
  listForUser(userId: string): Promise<readonly KeyRecord[]>
  /** Deletes a handle; answers its share and how many handles still lead to it, undefined when there was none. */
  delete(
    userId: string,
    keyId: string,
  ): Promise<{ readonly share: ShareRecord; readonly remaining: number } | undefined>
}

/** A backup of a share that is here: its own words and when it was made. */
export interface BackupNote {
  readonly userId: string
  readonly shareId: string
  /** 32 bytes that name these very blob bytes. */
  readonly digest: Uint8Array
  readonly exportedAt: number
  /** Undefined for a plaintext backup. */
  readonly secret: BackupSecretHint | undefined
}

/** A key_id, and what is known of a backup of its share. A share is of one epoch, and so are its backups. */
export interface CoveredKey {
  readonly keyId: string
  readonly share: ShareRecord
  readonly backup:
    | (BackupNote & { readonly verifiedAt: number | null; readonly drilledAt: number | null })
    | undefined
}

/** How many key_ids have a backup under one secret (undefined: in the clear, or none at all). */
export interface CoverageCount {
  readonly secret: BackupSecretHint | undefined
  readonly keys: number
  readonly exported: number
  readonly verified: number
  readonly drilled: number
}

/**
 * For each share the one backup that counts: the last that was shown to be good, or, while none was, the last that
 * was handed out. One that left and was never seen again does not take the place of one that was: nobody knows whether
 * it was kept.
 */
export interface BackupVerbs {
  /** Notes a backup that is about to be handed out. @throws StoreConflict `share_gone` */
  exported(backup: BackupNote): Promise<void>
  /** Notes a backup that came here and passed every check. @throws StoreConflict `share_gone` */
  verified(backup: BackupNote, at: number): Promise<void>
  /** Notes a backup that was drilled, which no check is beyond. @throws StoreConflict `share_gone` */
  drilled(backup: BackupNote, at: number): Promise<void>
  /** Keys of this user, or of everyone, in the order of their key_id. */
  coverage(query: {
    readonly userId: string | undefined
    readonly after: string | undefined
    readonly limit: number
  }): Promise<readonly CoveredKey[]>
  /** All keys of this user, or of everyone, counted. */
  count(userId: string | undefined): Promise<readonly CoverageCount[]>
}

/** An OT setup with one peer, as a run of this share needs it. Never exported. */
export interface StoredSetup {
  /** 32 bytes. */
  readonly setupId: Uint8Array
  /** An encoded PairSetup, opened. */
  readonly record: Uint8Array
}

/** What a signature needs to know. */
export interface SigningRead {
  readonly share: ShareRecord
  /** The encoded KeyShare, opened. The caller wipes it. */
  readonly record: Uint8Array
  /** Those that are not retired, one at most for each peer. The caller wipes their records. */
  readonly setups: readonly (StoredSetup & { readonly peer: number })[]
  /** The peers whose setup does not open. */
  readonly unreadable: readonly number[]
  /** Failed checks of all peers together. */
  readonly failures: number
}

/** Setups belong to a share id, which never comes from a client: the user was checked when the share was found. */
export interface SetupVerbs {
  /** The newest setup with this peer that is not retired. @throws SealedValueInvalid */
  load(shareId: string, peer: number): Promise<StoredSetup | undefined>
  /**
   * Keeps a new setup as the only one that `load` finds. The secret bytes of older ones are deleted; they stay alive
   * for another hour, for runs that hold them.
   * @throws StoreConflict `setup_id` when the id was ever used, so that a retired one cannot come back; `share_gone`
   * when the share was erased
   */
  save(shareId: string, peer: number, setup: StoredSetup, at: number): Promise<void>
  /**
   * Deletes the secret bytes and keeps id and time for ever; also for a setup that was never saved.
   * @returns false when it had been retired before
   */
  retire(shareId: string, peer: number, setupId: Uint8Array, at: number): Promise<boolean>
  /** Whether messages that depend on this setup may still be sent. False for one that is not known. */
  isAlive(setupId: Uint8Array): Promise<boolean>
}

/** Failed cryptographic checks by a peer that had proved who it is. */
export interface FailureVerbs {
  add(shareId: string, peer: number, at: number): Promise<void>
  /** How many with `at` > `since`. */
  countSince(shareId: string, peer: number, since: number): Promise<number>
}

/** What must not come back by itself. Of a share: whatever its epoch. */
export type TombstoneSubject =
  | {
      readonly kind: 'share'
      readonly userId: string
      readonly publicKey: Uint8Array
      readonly party: number
    }
  | { readonly kind: 'user'; readonly userId: string }
  | { readonly kind: 'user_name'; readonly name: string }
  | { readonly kind: 'api_key'; readonly apiKeyId: string }

/** Tombstones are left by the verbs that delete, in the same unit. */
export interface TombstoneVerbs {
  has(subject: TombstoneSubject): Promise<boolean>
  /** Answers whether there was one. */
  lift(subject: TombstoneSubject): Promise<boolean>
}

// ---------------------------------------------------------------------------------------------------- seal

/** Where a sealed value stands. Its associated data: bytes moved to another place do not open. */
export interface RowIdentity {
  readonly table: string
  readonly id: string
  readonly column: string
}

/** Seals single values at rest under the storage key, each write under a fresh key and salt. */
export interface RowSeal {
  seal(row: RowIdentity, plaintext: Uint8Array): Uint8Array
  /** @throws Error unless these bytes were sealed for this row under this storage key */
  open(row: RowIdentity, sealed: Uint8Array): Uint8Array
}

/** The clear, authenticated header of a backup blob. docs/spec/backup-envelope.md */
export interface BackupHeader {
  readonly vaultName: string
  readonly userId: string
  readonly keyId: string
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  readonly party: number
  readonly threshold: number
  /** All parties in the order of their index. */
  readonly parties: readonly {
    readonly keygenId: Uint8Array
    readonly publicShare: Uint8Array
  }[]
  readonly epoch: number
  /** 32 bytes: hash of the chain code. */
  readonly chainCodeHash: Uint8Array
  readonly createdAt: number
}

/** Which backup secret sealed a blob. Name and version are hints for people. */
export interface BackupSecretHint {
  readonly fingerprint: Uint8Array
  readonly name: string
  readonly version: string
}

/** A backup that passed every check. */
export interface OpenedBackup {
  readonly header: BackupHeader
  /** Undefined for a plaintext blob. */
  readonly secret: BackupSecretHint | undefined
  /** The encoded KeyShare, checked against the header. The caller wipes it. */
  readonly record: Uint8Array
  /** 32 bytes that name these very blob bytes: the same for every import of one blob. */
  readonly digest: Uint8Array
}

/** A backup as it leaves. */
export interface SealedBackup {
  /** What travels as `key_share`. */
  readonly text: string
  /** Undefined for a plaintext blob. */
  readonly secret: BackupSecretHint | undefined
  /** As {@link OpenedBackup.digest}. */
  readonly digest: Uint8Array
}

/** Makes and opens backup blobs in the one mode that the operator chose. Text is what travels as `key_share`. */
export interface BackupSeal {
  readonly mode: 'encrypted' | 'plaintext'
  /**
   * Seals an encoded KeyShare, under the newest backup secret in encrypted mode. What the header says of the share is
   * read from the share itself, which is checked once more on the way.
   * @param options `look`: whether it is asked first which secret is the newest, rather than taken from memory
   * @throws VaultError `backup_key_unavailable`
   */
  seal(
    subject: { readonly userId: string; readonly keyId: string; readonly createdAt: number },
    record: Uint8Array,
    options?: { readonly look: boolean },
  ): Promise<SealedBackup>
  /**
   * Opens a blob with the secret that its header names and checks all of it: that it was made in a vault of this name
   * for this user, that the share is the one in the header and lies on its key.
   * @throws VaultError `backup_invalid` for every bad blob (the reason, for the log only, is the message of `cause`),
   * `export_mode_refused` when the blob is sound but of the other mode, `backup_key_unavailable` (with `retry_after`
   * seconds in the details where the key vault said so) when its secret cannot be had
   */
  open(text: string, userId: string): Promise<OpenedBackup>
}

/** The public half of the identity that survives the loss of the server. */
export interface VaultIdentityPublic {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Lower-case hex. */
  readonly fingerprint: string
}

/** What a signed `key_id_not_exists` says. */
export interface KeyIdNotExistsStatement {
  readonly vaultName: string
  readonly apiKeyId: string
  readonly keyId: string
  readonly generation: string
  /** 32 bytes, from the client. */
  readonly nonce: Uint8Array
}

export interface VaultIdentityPort {
  /** Derived from the newest backup secret. */
  readonly newest: VaultIdentityPublic
  /**
   * Signs with the identity whose fingerprint the client pinned while its secret is enabled, undefined for one that
   * is not known; `successor` is the newest identity, signed by the pinned one, when they differ.
   */
  signKeyIdNotExists(
    statement: KeyIdNotExistsStatement,
    pinnedFingerprint: string,
  ):
    | {
        readonly publicKey: Uint8Array
        readonly signature: Uint8Array
        readonly successor?: { readonly publicKey: Uint8Array; readonly signature: Uint8Array }
      }
    | undefined
  /** Signs with the identity that the client pinned, or, where that is not known, with the newest. */
  signDrillReport(
    report: DrillReport,
    pinnedFingerprint: string | undefined,
  ): { readonly publicKey: Uint8Array; readonly signature: Uint8Array }
}

/** What an API key says of itself. */
export interface ApiKeyClaims {
  readonly apiKeyId: string
  readonly userId: string
  readonly issuedAt: number
  readonly expiresAt: number | null
}

export interface ApiKeyPort {
  /** Makes a key; the text is shown once and never kept. `secretHash` is what the store keeps. */
  issue(claims: { userId: string; issuedAt: number; expiresAt: number | null }): {
    readonly text: string
    readonly claims: ApiKeyClaims
    readonly secretHash: Uint8Array
  }
  /** Undefined unless it has the form of a key. Proves nothing yet. */
  parse(
    text: string,
  ): { readonly claims: ApiKeyClaims; readonly secretHash: Uint8Array } | undefined
  /** Whether a key of this vault's name and one of its enabled secrets tagged this text. */
  verifyTag(text: string): boolean
}

// ---------------------------------------------------------------------------------------------------- directory

/** What speaks for a party, the subject added last at the end; or why nobody can tell. */
export type PartySubjects =
  | { readonly live: readonly string[]; readonly problem?: undefined }
  | { readonly problem: 'no_chain' | 'too_long' | 'broken' }

/** The signed histories of parties, as far as this server's directory has them. docs/spec/identities.md */
export interface PartyPort {
  /** Whether a text has the form of one. */
  isPrimary(text: string): boolean
  /** Checks the whole history of a primary. @throws StorageUnavailable */
  subjectsOf(primary: string): Promise<PartySubjects>
}

/** A key to which something can be sealed for a name; or why there is none. */
export type NameKey =
  | {
      /** X25519, 32 bytes. */
      readonly key: Uint8Array
      /** What the name has signed about this key, which is given out once; null for a key that it has for everybody. */
      readonly keyInit: string | null
      readonly problem?: undefined
    }
  | { readonly problem: 'no_name' | 'unknown' | 'broken' | 'no_key' }

/** The names that this server's keyserver gives out. docs/spec/keyserver.md, section 10 */
export interface NamePort {
  /** Takes a key of this name, which nobody else gets after that. @throws StorageUnavailable */
  keyFor(name: string): Promise<NameKey>
}

/** Seals backups to one recipient. docs/spec/sealed-backup.md */
export interface RecipientSeal {
  /**
   * @param backup as it would travel unsealed
   * @param to the recipient's primary and X25519 public key, and the time of the export
   * @returns undefined for a public key to which nothing can be sealed
   */
  seal(
    backup: string,
    to: {
      readonly recipient: string
      readonly recipientKey: Uint8Array
      readonly exportedAt: number
    },
  ): Promise<string | undefined>
}

/** Who this Vertex is in the directory, for others to know it by. */
export interface OwnParty {
  /** `ed25519:` and the hex digits of its public key. */
  readonly primary: string
  /** 33 bytes, hex. */
  readonly persistentKeygenId: string
  /** Where it says it can be reached. */
  readonly host: string | null
}

// ---------------------------------------------------------------------------------------------------- relay

/** Rooms, in this process or behind another address. */
export interface RoomPort {
  /** Whether rooms can be had now. */
  ready?(): boolean
  /**
   * Whom to tell of rooms that were made here and are waited for no more, where that can happen without this process:
   * others may share the rooms.
   */
  onUsed?(listener: (roomUuid: string) => void): void
  /** Makes a one-time room for `size` parties. Answers its room_uuid. @throws RoomClosed when none can be had now */
  create(size: number): Promise<string>
  /**
   * Joins a room.
   * @param roomUuid 8-4-4-4-12 hex form of 16 random bytes
   * @param label what this party announces of itself, unauthenticated
   * @param options deadlineMs: how long from now the room may be used; relayAddress: host:port of a foreign relay,
   * already checked against the operator's list
   * @throws RoomClosed
   */
  join(
    roomUuid: string,
    label: Uint8Array,
    options: { readonly relayAddress?: string; readonly deadlineMs: number },
  ): Promise<RoomLink>
}
