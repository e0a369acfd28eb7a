import type { Suite } from '@vertex/mpc'
import { Authentication } from './authentication.js'
import { Backups } from './backup.js'
import { backupCoverage } from './coverage.js'
import { Create } from './create.js'
import { Drills } from './drill.js'
import type { Engine } from './engine.js'
import type { Readiness, Vault } from './facade.js'
import { Keys } from './key.js'
import { Keygen } from './keygen.js'
import type { VaultLog } from './log.js'
import { NotExists } from './not-exists.js'
import { Identities } from './parties.js'
import type {
  ApiKeyPort,
  AuditLog,
  BackupSeal,
  Clock,
  OwnParty,
  NamePort,
  PartyPort,
  RecipientSeal,
  RoomPort,
  VaultIdentityPort,
  VaultStore,
} from './ports.js'
import type { Rates } from './rates.js'
import { Rewraps } from './rewrap.js'
import { RoomQuota } from './room-quota.js'
import { RoomAccess } from './rooms.js'
import { Runs } from './runs.js'
import { Setups } from './setups.js'
import { Signing } from './sign.js'
import { checkSecrets, type LoadedSecrets } from './startup.js'
import { Trail, type Deed, type Mark } from './trail.js'
import { Units } from './units.js'
import { Users } from './users.js'

/** Everything the vault is built from. The caller owns the store and closes it after the vault. */
export interface VaultParts {
  readonly store: VaultStore
  readonly rooms: RoomPort
  readonly clock: Clock
  readonly suite: Suite
  readonly apiKeys: ApiKeyPort
  /** The seal's mode is the server's. An identity goes with encrypted backups only: nothing else survives a loss. */
  readonly backup: {
    readonly seal: BackupSeal
    readonly identity: VaultIdentityPort | undefined
    /** Whether backups could be made now; for readiness. */
    ready(): Promise<boolean>
  }
  /** Other parties, as the directory knows them; this one, as they know it; and how backups are sealed to them. */
  readonly directory: {
    readonly parties: PartyPort
    /** Undefined where no names are given out. */
    readonly names?: NamePort | undefined
    readonly own: OwnParty
    readonly recipients: RecipientSeal
  }
  readonly secrets: { readonly storage: LoadedSecrets; readonly backup: LoadedSecrets | undefined }
  /** VERTEX_VAULT_NAME. */
  readonly vaultName: string
  /** ES256 public key of now, PEM. */
  identityPem(): string
  /** How long one run may take, waiting included. Milliseconds. */
  readonly runDeadlineMs: number
  /** How long a room that nobody uses stays open. Milliseconds. */
  readonly roomLifetimeMs: number
  /** host:port of foreign relays that requests may name, lower case. */
  readonly relayAllow: readonly string[]
  /** API keys issued before this time are not accepted. Milliseconds since 1970; 0 for no limit. */
  readonly apiKeysNotBefore: number
  readonly rates: Rates
  readonly log: VaultLog
  readonly audit: AuditLog
  /** Whether signatures go on when the audit log cannot be written. */
  readonly signsUnrecorded: boolean
  /** Where runs are computed. */
  readonly engine: Engine
}

/**
 * Checks that this database and these secrets belong together, and builds the vault on them.
 * @throws StartRefused naming the setting that is wrong
 * @throws StorageUnavailable
 */
export async function openVault(parts: VaultParts): Promise<Vault> {
  const { store, rooms, clock, suite, engine, apiKeys, backup, rates, vaultName, log } = parts
  await checkSecrets(store, clock, backup.seal.mode, vaultName, parts.secrets, log)

  const units = new Units(store)
  const runs = new Runs(engine.capacity)
  const setups = new Setups(units, clock, log)
  const notExists = new NotExists(units, backup.identity, vaultName)
  const trail = new Trail(parts.audit, log, parts.signsUnrecorded)
  const keys = new Keys(units, suite, notExists, runs, clock, log, trail)
  const quota = new RoomQuota(clock, parts.roomLifetimeMs)
  rooms.onUsed?.((roomUuid) => {
    quota.used(roomUuid)
  })
  const roomAccess = new RoomAccess(rooms, quota, clock, parts.runDeadlineMs, parts.relayAllow)

  const authentication = new Authentication(
    units,
    apiKeys,
    clock,
    log,
    parts.apiKeysNotBefore,
    trail,
  )
  const users = new Users(units, apiKeys, authentication, clock, log)
  const identities = new Identities(parts.directory.parties, parts.directory.names)
  const creating = new Create(units, suite, notExists, rates, clock, log)
  const keygen = new Keygen(
    units,
    keys,
    roomAccess,
    runs,
    setups,
    engine,
    notExists,
    clock,
    log,
    trail,
    identities,
  )
  const signing = new Signing(
    units,
    keys,
    roomAccess,
    runs,
    setups,
    rates,
    engine,
    notExists,
    clock,
    log,
    trail,
  )
  const backups = new Backups(
    units,
    keys,
    suite,
    backup.seal,
    rates,
    clock,
    log,
    trail,
    identities,
    parts.directory.recipients,
  )

  const rewraps = new Rewraps(units, backups, backup.seal, rates, clock, log, trail)
  const drills = new Drills(
    { ...backup, vaultName },
    units,
    backups,
    roomAccess,
    runs,
    setups,
    engine,
    suite,
    rates,
    clock,
    log,
    trail,
  )

  const readiness = async (): Promise<Readiness> => {
    const storage = await store.check().then(
      () => true,
      () => false,
    )
    const backup_secret = await backup.ready()
    const checks = {
      storage,
      backup_secret,
      audit: await parts.audit.check(),
      ...(rooms.ready && { rooms: rooms.ready() }),
    }
    return { ok: Object.values(checks).every(Boolean), checks }
  }

  const administer = <T>(
    deed: Deed,
    requestId: string | undefined,
    work: (mark: Mark) => Promise<T>,
  ) => {
    // What is no user_id is refused by the work, and has no place in a record.
    const userId = isUuid(deed.userId) ? deed.userId?.toLowerCase() : undefined
    return trail.around({ ...deed, userId, requestId }, work)
  }

  return {
    authenticate: (authorization, requestId) =>
      authentication.authenticate(authorization, requestId),
    createUser: (request, by) =>
      administer(
        {
          action: 'create_user',
          userId: request.userId?.toLowerCase(),
          values: { name: request.name },
        },
        by,
        (mark) => marked(mark, users.create(request)),
      ),
    generateApiKey: (userId, by) =>
      administer({ action: 'generate_api_key', userId }, by, (mark) =>
        marked(mark, users.generateApiKey(userId)),
      ),
    revokeApiKey: (request, by) =>
      administer(
        { action: 'revoke_api_key', userId: request.userId, values: { api_key: request.apiKey } },
        by,
        () => users.revokeApiKey(request),
      ),
    deleteUser: (userId, by) =>
      administer({ action: 'delete_user', userId }, by, () => users.delete(userId)),
    deleteTombstone: (request, by) =>
      administer(
        { action: 'delete_tombstone', values: { subject: JSON.stringify(request) } },
        by,
        () => users.deleteTombstone(request),
      ),
    createRoom: (caller, size) => roomAccess.create(caller, size),
    createRooms: (caller, size, count) => roomAccess.createMany(caller, size, count),
    createKey: (caller) => creating.create(caller),
    keygen: (caller, request, context) => keygen.keygen(caller, request, context),
    sign: (caller, request, context) => signing.sign(caller, request, context),
    batchSign: (caller, requests, context) => signing.batch(caller, requests, context),
    derivePubkey: (caller, request, context) => keys.derivePubkey(caller, request, context),
    exportId: (caller, keyId, context) => keys.exportId(caller, keyId, context),
    deleteKeyShare: (caller, keyId, context) => keys.delete(caller, keyId, context),
    listKeys: (caller) => keys.list(caller),
    getKey: (caller, keyId, context) => keys.info(caller, keyId, context),
    exportBackup: (caller, keyId, context) => backups.export(caller, keyId, context),
    exportBackupTo: (caller, keyId, recipient, context) =>
      backups.exportTo(caller, keyId, recipient, context),
    importBackup: (caller, backup) => backups.import(caller, backup),
    verifyBackup: (caller, backup) => backups.verify(caller, backup),
    rewrapBackup: (caller, old) => rewraps.rewrap(caller, old),
    drillBackup: (caller, request, context) => drills.drill(caller, request, context),
    backupCoverage: (caller, request) => backupCoverage(units, caller, request),
    party: () => parts.directory.own,
    identityPem: () => parts.identityPem(),
    readiness,
    usage: () => runs.usage,
    close: async () => {
      await runs.close()
      await parts.audit.idle()
    },
  }
}

/** Whose API key was made, and which: its hash is that of its revocation. */
async function marked<T extends { userId: string; apiKey: string }>(mark: Mark, made: Promise<T>) {
  const { userId, apiKey } = await made
  mark.userId = userId
  mark.values = { api_key: apiKey }
  return made
}

const isUuid = (id = '') => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)
