import type { VaultError } from './errors.js'
import type { OwnParty } from './ports.js'

/** How backups leave this server: chosen by the operator at start, never by a request. */
export type BackupMode = 'encrypted' | 'plaintext'

/** Who is calling: a user, through one of their API keys. */
export interface Caller {
  readonly userId: string
  readonly apiKeyId: string
  /** Of this request, as log and answer name it; for the audit log. */
  readonly requestId?: string | undefined
}

/**
 * What a client sends so that a `key_id_not_exists` can be signed for it: 32 random bytes, and the fingerprint of the
 * vault identity it pinned. Both 64 hex digits. Anything else is treated as absent: the answer is then not signed.
 */
export interface IdentityContext {
  readonly nonce?: string | undefined
  readonly identity?: string | undefined
}

/** What a client pins of this vault. */
export interface VaultIdentityInfo {
  /** Ed25519, 32 bytes as hex. */
  readonly publicKey: string
  /** 32 bytes as hex. */
  readonly fingerprint: string
  readonly vaultName: string
  /** Random name of this database. */
  readonly generation: string
}

export interface CreateUserRequest {
  /** 1 to 128 printable characters in normal form C; whoever calls has seen to that. */
  readonly name: string
  /** Given only to take a user over from elsewhere under the id its backups name. */
  readonly userId?: string | undefined
}

/** Which tombstone to lift. Those of API keys stay for ever. */
export type DeleteTombstoneRequest =
  | { readonly kind: 'share'; readonly userId: string; readonly pubkey: string }
  | { readonly kind: 'user'; readonly userId: string }
  | { readonly kind: 'user_name'; readonly name: string }

export interface KeygenRequest {
  readonly keyId: string
  readonly roomUuid: string
  readonly numParties: number
  /** How many parties must sign. */
  readonly threshold: number
  /** The keygen_ids of all other parties, 33 bytes each as hex. */
  readonly othersKeygenIds: readonly string[]
  /** The primary that is expected behind each of them, or null. docs/spec/identities.md, section 3 */
  readonly othersIdentities?: readonly (string | null)[] | undefined
  readonly relayAddress?: string | undefined
}

export interface SignRequest {
  readonly keyId: string
  readonly roomUuid: string
  /** The message, hex. */
  readonly msg: string
  /** sha256, keccak256, sha256d or none, in any case. */
  readonly hashAlgo: string
  readonly derivationPath?: readonly number[] | undefined
  /** Hex; for policies, not signed. */
  readonly extraData?: string | undefined
  readonly relayAddress?: string | undefined
}

/** r and s: 32 bytes as hex, s the lower of the two; v: recovery id, 0 to 3; der: hex. */
export interface SignatureHex {
  readonly r: string
  readonly s: string
  readonly v: 0 | 1 | 2 | 3
  readonly der: string
}

export type BatchEntry =
  | { readonly signature: SignatureHex; readonly error?: undefined }
  | { readonly error: VaultError; readonly signature?: undefined }

export type Provenance = 'generated' | 'encrypted' | 'plaintext'

/** What may be told of a key; never a secret. Everything after `createdAt` only with `state: 'ready'`. */
export interface KeyInfo {
  readonly keyId: string
  readonly keygenId: string
  readonly state: 'created' | 'ready'
  readonly createdAt: Date
  readonly pubkey?: string
  readonly chainCode?: string
  readonly party?: number
  readonly parties?: number
  readonly threshold?: number
  readonly epoch?: number
  readonly provenance?: Provenance
}

/** `keyShare` is base64. */
export interface Backup {
  readonly exportType: BackupMode
  readonly keyShare: string
}

/** A backup that only its recipient can open; `exportType` is that of the backup in it. */
export interface RecipientBackup extends Backup {
  readonly recipient: {
    readonly primary: string
    /** The X25519 public key that it is sealed to, hex. */
    readonly key: string
    readonly exportedAt: Date
    /** Of a name only: what it has signed about the key; null for a key that is not given out once. */
    readonly keyInit?: string | null
  }
}

export interface BackupSummary {
  /** The key_id under which the backup was exported. */
  readonly keyId: string
  readonly pubkey: string
  readonly epoch: number
  /** Version of the backup secret that opened it; null for a plaintext backup. */
  readonly secretVersion: string | null
}

/** A backup under the newest secret. */
export interface RewrappedBackup extends Backup {
  /** The key_id under which the former one was exported. */
  readonly keyId: string
  readonly pubkey: string
  readonly epoch: number
  /** False when it was under the newest secret already, and is as it was. */
  readonly rewrapped: boolean
  readonly formerSecretVersion: string
  readonly secretVersion: string
}

export interface DrillRequest extends Backup {
  /** A fresh room of as many parties as must sign. */
  readonly roomUuid: string
  /** 32 random bytes of the client, hex. */
  readonly nonce: string
  readonly relayAddress?: string | undefined
}

/** What the vault says of a drill that went well. Bytes as hex. docs/spec/drill.md, D.7 */
export interface DrillReportInfo {
  readonly vaultName: string
  readonly generation: string
  readonly userId: string
  /** The key_id under which the backup was exported. */
  readonly keyId: string
  readonly pubkey: string
  readonly party: number
  readonly epoch: number
  readonly digest: string
  readonly secretFingerprint: string
  readonly nonce: string
  /** Of the signature over the canary. */
  readonly r: string
  readonly s: string
  readonly drilledAt: Date
  /** Ed25519 public key of the vault identity that signed the report, and its signature. */
  readonly identity: string
  readonly signature: string
}

export interface DrilledBackup {
  readonly drilledAt: Date
  /** SHA-256 of the blob, hex. */
  readonly digest: string
  /** Over the canary. */
  readonly signature: Omit<SignatureHex, 'der'>
  /** Null in plaintext mode: there is no identity to sign it. */
  readonly report: DrillReportInfo | null
}

/** What is known of a key's backups: nothing left, one left, one came back and passed every check of an import. */
export type CoverageState = 'none' | 'exported' | 'verified'

/** Which backup secret a backup was made under. Name and version are hints for people. */
export interface CoverageSecret {
  /** Hex. */
  readonly fingerprint: string
  readonly name: string
  readonly version: string
}

/** A key and the one backup of it that counts: the last verified one, or while there is none the last exported one. */
export interface KeyCoverage {
  readonly userId: string
  readonly keyId: string
  readonly pubkey: string
  readonly party: number
  readonly epoch: number
  readonly state: CoverageState
  readonly exportedAt: Date | null
  readonly verifiedAt: Date | null
  readonly drilledAt: Date | null
  /** Null for a backup in the clear, and for none. */
  readonly secret: CoverageSecret | null
}

export interface CoverageRequest {
  /** 1 to 1000. */
  readonly limit: number
  /** Only keys after this key_id. */
  readonly after?: string | undefined
}

export interface Coverage {
  /** In the order of their key_id. */
  readonly keys: readonly KeyCoverage[]
  /** The `after` with which the next keys are had; null when these were the last. */
  readonly next: string | null
  /** Of all keys, not only of those listed. */
  readonly counts: Readonly<Record<CoverageState | 'drilled', number>>
  /** Backups of all keys by the secret they were made under, the newest secret first. */
  readonly secrets: readonly (CoverageSecret & {
    readonly keys: number
    /** The newest secret that this server ever used. */
    readonly newest: boolean
  })[]
}

/** Whether the vault and what it needs are well; that the server is about to stop is for the server to say. */
export interface Readiness {
  readonly ok: boolean
  readonly checks: Readonly<Record<string, boolean>>
}

/** How busy the vault is with protocol runs. */
export interface VaultUsage {
  readonly running: number
  /** Runs that wait for a slot on their share. */
  readonly waiting: number
  /** How many there may be at one time, those that wait included. */
  readonly capacity: number
}

/**
 * The vault: one party of threshold keys. Everything that HTTP may ask of the domain.
 *
 * Every method may throw VaultError `storage_unavailable`, those that start a run also `too_busy` and `rate_limited`. A key_id that does
 * not exist and one of another user are answered alike, with `key_id_not_exists`.
 */
export interface Vault {
  /** @param authorization the raw header value @throws VaultError `access_denied` */
  authenticate(authorization: string, requestId?: string): Promise<Caller>

  /** @throws VaultError `user_name_already_exists`, `unique_violation` (the user_id is taken), `bad_request_params` */
  createUser(
    request: CreateUserRequest,
    requestId?: string,
  ): Promise<{ userId: string; apiKey: string }>
  /** @throws VaultError `user_id_not_exists` */
  generateApiKey(userId: string, requestId?: string): Promise<{ userId: string; apiKey: string }>
  /** @throws VaultError `user_id_not_exists`, `api_key_not_found` */
  revokeApiKey(request: { apiKey: string; userId: string }, requestId?: string): Promise<void>
  /** @throws VaultError `user_id_not_exists`, `user_has_associated_keys` */
  deleteUser(userId: string, requestId?: string): Promise<void>
  /** @throws VaultError `tombstone_not_found` */
  deleteTombstone(request: DeleteTombstoneRequest, requestId?: string): Promise<void>

  /** @throws VaultError `bad_request_params`, `room_creation_problem` (the size), `rate_limited`, `too_busy` */
  createRoom(caller: Caller, size: number): Promise<{ roomUuid: string }>
  /**
   * 1 to `count` rooms, at most 64, that all expire after the same time.
   * @throws VaultError as `createRoom`, when there is not even one
   */
  createRooms(
    caller: Caller,
    size: number,
    count: number,
  ): Promise<{ roomUuids: readonly string[]; expiresInMs: number }>

  createKey(
    caller: Caller,
  ): Promise<{ keyId: string; keygenId: string; vaultIdentity: VaultIdentityInfo | null }>
  /**
   * @throws VaultError `bad_n_and_t_params`, `already_performed_keygen`, `key_id_not_exists`, `share_tombstoned`,
   * `protocol_abort`, `session_mismatch`, `room_*`
   */
  keygen(
    caller: Caller,
    request: KeygenRequest,
    context?: IdentityContext,
  ): Promise<{ pubkey: string; chainCode: string; vaultIdentity: VaultIdentityInfo | null }>
  /**
   * @throws VaultError `key_id_not_exists`, `key_operation_before_keygen`, `key_locked`, `share_tombstoned`,
   * `bad_request_params`, `rate_limited`, `protocol_abort`, `session_mismatch`, `room_*`
   */
  sign(caller: Caller, request: SignRequest, context?: IdentityContext): Promise<SignatureHex>
  /**
   * One entry for each request, in order. Requests that name the same room are one run: of one key, signed all or none.
   * @throws VaultError `batch_too_large`, `bad_request_params`
   */
  batchSign(
    caller: Caller,
    requests: readonly SignRequest[],
    context?: IdentityContext,
  ): Promise<BatchEntry[]>
  /** @throws VaultError `key_id_not_exists`, `key_operation_before_keygen`, `bad_request_params` */
  derivePubkey(
    caller: Caller,
    request: { keyId: string; derivationPath: readonly number[] },
    context?: IdentityContext,
  ): Promise<{ pubkey: string }>
  /** @throws VaultError `key_id_not_exists` */
  exportId(caller: Caller, keyId: string, context?: IdentityContext): Promise<{ keygenId: string }>
  /** Removes the handle; with the last handle the share is erased and leaves a tombstone. */
  deleteKeyShare(caller: Caller, keyId: string, context?: IdentityContext): Promise<void>
  listKeys(caller: Caller): Promise<KeyInfo[]>
  /** @throws VaultError `key_id_not_exists` */
  getKey(caller: Caller, keyId: string, context?: IdentityContext): Promise<KeyInfo>

  /**
   * @throws VaultError `key_id_not_exists`, `key_operation_before_keygen`, `export_mode_refused`,
   * `backup_key_unavailable`, `rate_limited`
   */
  exportBackup(caller: Caller, keyId: string, context?: IdentityContext): Promise<Backup>
  /**
   * As exportBackup, sealed to the newest live recipient key of a party, so that it opens only there. Of a name,
   * `mute:localpart@domain`, it is a key that is given out once.
   * @throws VaultError as exportBackup; `bad_request_params` for a party or a name without such a key
   */
  exportBackupTo(
    caller: Caller,
    keyId: string,
    recipient: string,
    context?: IdentityContext,
  ): Promise<RecipientBackup>
  /** @throws VaultError `backup_invalid`, `export_mode_refused`, `share_tombstoned`, `backup_key_unavailable` */
  importBackup(caller: Caller, backup: Backup): Promise<{ keyId: string }>
  /** All the checks of an import; changes nothing but the coverage. Throws as importBackup does. */
  verifyBackup(caller: Caller, backup: Backup): Promise<BackupSummary>
  /** Seals a backup anew under the newest secret, and opens the result. Throws as importBackup does. */
  rewrapBackup(caller: Caller, backup: Backup): Promise<RewrappedBackup>
  /**
   * A recovery drill: the share in the backup signs once, together with the client, and is forgotten.
   * @throws VaultError as importBackup; `key_id_not_exists` where the share itself is not here; as sign
   */
  drillBackup(
    caller: Caller,
    request: DrillRequest,
    context?: IdentityContext,
  ): Promise<DrilledBackup>
  /** Which keys have a backup, of this caller or, without one, of everyone. @throws VaultError `bad_request_params` */
  backupCoverage(caller: Caller | undefined, request: CoverageRequest): Promise<Coverage>

  /** Who this Vertex is in the directory. */
  party(): OwnParty
  /** The public half of the key with which this server signs JWTs (ES256), as PEM. */
  identityPem(): string
  readiness(): Promise<Readiness>
  usage(): VaultUsage
  /** Takes no new runs, lets the running ones finish (at most 17 s), then cuts them off. Idempotent. */
  close(): Promise<void>
}
