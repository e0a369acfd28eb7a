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
import type {
  ApiKeyPort,
  BackupSeal,
  Clock,
  RoomPort,
  VaultIdentityPort,
  VaultStore,
} from './ports.js'
import type { Rates } from './rates.js'
import { RoomQuota } from './room-quota.js'
import { RoomAccess } from './rooms.js'
import { Runs } from './runs.js'
import { Setups } from './setups.js'
import { Signing } from './sign.js'
import { checkSecrets, type LoadedSecrets } from './startup.js'
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
  await checkSecrets(store, clock, backup.seal.mode, vaultName, parts.secrets)

  const units = new Units(store)
  const runs = new Runs(engine.capacity)
  const setups = new Setups(units, clock, log)
  const notExists = new NotExists(units, backup.identity, vaultName)
  const keys = new Keys(units, suite, notExists, runs, clock, log)
  const quota = new RoomQuota(clock, parts.roomLifetimeMs)
  const roomAccess = new RoomAccess(rooms, quota, clock, parts.runDeadlineMs, parts.relayAllow)

  const authentication = new Authentication(units, apiKeys, clock, log, parts.apiKeysNotBefore)
  const users = new Users(units, apiKeys, authentication, clock, log)
  const creating = new Create(units, suite, notExists, rates, clock, log)
  const keygen = new Keygen(units, keys, roomAccess, runs, setups, engine, notExists, clock, log)
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
  )
  const backups = new Backups(units, keys, suite, backup.seal, rates, clock, log)

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
  )

  const readiness = async (): Promise<Readiness> => {
    const storage = await store.check().then(
      () => true,
      () => false,
    )
    const backup_secret = await backup.ready()
    const checks = { storage, backup_secret }
    return { ok: Object.values(checks).every(Boolean), checks }
  }

  return {
    authenticate: (authorization) => authentication.authenticate(authorization),
    createUser: (request) => users.create(request),
    generateApiKey: (userId) => users.generateApiKey(userId),
    revokeApiKey: (request) => users.revokeApiKey(request),
    deleteUser: (userId) => users.delete(userId),
    deleteTombstone: (request) => users.deleteTombstone(request),
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
    importBackup: (caller, backup) => backups.import(caller, backup),
    verifyBackup: (caller, backup) => backups.verify(caller, backup),
    drillBackup: (caller, request, context) => drills.drill(caller, request, context),
    backupCoverage: (caller, request) => backupCoverage(units, caller, request),
    identityPem: () => parts.identityPem(),
    readiness,
    usage: () => runs.usage,
    close: () => runs.close(),
  }
}
