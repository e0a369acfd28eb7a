import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesToHex } from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { readConfig } from '../../../src/config.js'
import { ratesInMemory, type RateSettings } from '../../../src/rates/index.js'
import { AuditWriter } from '../../../src/audit/index.js'
import { directoryTables } from '../../../src/compose/directory.js'
import { Parties } from '../../../src/directory/sigchain/parties.js'
import { roomPort, Rooms } from '../../../src/relay/index.js'
import {
  apiKeys,
  BackupSecrets,
  encryptedBackups,
  plaintextBackups,
  recipientSeal,
  rowSeal,
  StorageKey,
  vaultIdentity,
  type SecretSource,
} from '../../../src/seal/index.js'
import { openStore, type Database, type OpenStore } from '../../../src/store/index.js'
import {
  localEngine,
  openVault,
  type Caller,
  type Engine,
  type Vault,
  type VaultEvent,
  type VaultParts,
} from '../../../src/vault/index.js'
import {
  StorageUnavailable,
  type BackupSeal,
  type RoomPort,
  type UnitOfWork,
  type VaultStore,
} from '../../../src/vault/ports.js'

export const suite = nativeSuite()

/** The secrets that outlive a server, as an operator keeps them. */
export interface Secrets {
  readonly storageKey: Uint8Array
  /** Newest first. */
  readonly backup: readonly { readonly bytes: Uint8Array; readonly version: string }[]
  /** Versions that a key vault says are there and disabled. */
  readonly disabled?: readonly string[]
  /** Whether a server that runs may find other ones later, as in a key vault. */
  readonly change?: boolean
}

export const newSecrets = (): Secrets => ({
  storageKey: new Uint8Array(randomBytes(32)),
  backup: [{ bytes: new Uint8Array(randomBytes(32)), version: '1' }],
})

export interface WorldOptions {
  readonly secrets?: Secrets
  readonly database?: Database
  readonly mode?: 'encrypted' | 'plaintext'
  readonly vaultName?: string
  /** Milliseconds since 1970. */
  readonly now?: number
  readonly apiKeysNotBefore?: number
  readonly runDeadlineMs?: number
  readonly engine?: Engine
  /** Where the defaults are not meant. */
  readonly rates?: Partial<RateSettings>
  readonly signsUnrecorded?: boolean
}

/** A store whose database can be made to go away. */
export interface FaultyStore extends VaultStore {
  /** Decides before each unit whether it may begin. */
  refuse: (() => boolean) | undefined
  /** Called after a unit was committed; may throw: what was written stays, the caller is told nothing. */
  afterCommit: (() => void) | undefined
  /** Wraps the verbs of every unit. */
  tamper: ((uow: UnitOfWork) => UnitOfWork) | undefined
}

/** One Vertex in this process: the real store, seals and rooms around the vault. */
export interface World {
  readonly vault: Vault
  readonly store: FaultyStore
  /** The store itself, where the directory is too. */
  readonly opened: OpenStore
  readonly rooms: RoomPort
  readonly events: VaultEvent[]
  readonly secrets: Secrets
  readonly time: { now: number }
  readonly database: Database
  /** A new user, signed in. */
  newCaller(name?: string): Promise<Caller & { readonly apiKey: string }>
  /** Ends the process and keeps its disk. */
  close(): Promise<void>
}

const folders: string[] = []
const open = new Set<World>()

/** For `afterEach`: ends what a test left running and deletes its databases. */
export async function cleanUp(): Promise<void> {
  await Promise.all([...open].map((world) => world.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

export function newDatabase(): Database {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-vault-'))
  folders.push(folder)
  return { kind: 'sqlite', dataDir: join(folder, 'data') }
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { secrets = newSecrets(), database = newDatabase(), mode = 'encrypted' } = options
  const { vaultName = 'vertex', apiKeysNotBefore = 0, runDeadlineMs = 10_000 } = options
  const time = { now: options.now ?? 1_750_000_000_000 }
  const clock = { now: () => time.now }
  const storageKey = new StorageKey(secrets.storageKey, vaultName)
  const opened = await openStore({
    database,
    rowSeal: rowSeal(storageKey),
    clock,
    more: directoryTables,
  })
  const store = faulty(opened)
  const relay = new Rooms()
  const rooms = roomPort(relay)
  const events: VaultEvent[] = []
  const loaded = await BackupSecrets.load(source(secrets), {
    vaultName,
    clock,
    log: () => undefined,
    storageFingerprint: storageKey.fingerprint,
  })
  const encrypted = mode === 'encrypted'
  const parts: VaultParts = {
    store,
    rooms,
    clock,
    suite,
    apiKeys: apiKeys(() =>
      encrypted ? loaded.all().map((one) => one.tagKey()) : [storageKey.tagKey()],
    ),
    backup: {
      seal: encrypted
        ? encryptedBackups({ vaultName, suite }, loaded)
        : plaintextBackups({ vaultName, suite }),
      identity: encrypted ? vaultIdentity(loaded) : undefined,
      ready: () => Promise.resolve(true),
    },
    directory: {
      parties: new Parties(opened),
      own: { primary: `ed25519:${'0'.repeat(64)}`, persistentKeygenId: '02', host: null },
      recipients: recipientSeal,
    },
    secrets: {
      storage: {
        setting: 'VERTEX_STORAGE_KEY_FILE',
        versions: [
          { fingerprint: bytesToHex(storageKey.fingerprint), name: 'storage', version: '' },
        ],
        disabled: [],
      },
      backup: {
        setting: 'VERTEX_BACKUP_SECRET_FILE',
        versions: loaded.all().map(({ id, name, version }) => ({ fingerprint: id, name, version })),
        disabled: loaded.disabled,
      },
    },
    vaultName,
    identityPem: () => storageKey.identityPem(),
    runDeadlineMs,
    roomLifetimeMs: 60_000,
    relayAllow: ['relay.example:443'],
    apiKeysNotBefore,
    rates: ratesInMemory({ ...readConfig({}).rates, ...options.rates }),
    log: (event) => events.push(event),
    audit: new AuditWriter(store, storageKey.auditKeys(), clock),
    signsUnrecorded: options.signsUnrecorded ?? false,
    engine: options.engine ?? localEngine(suite),
  }
  let vault: Vault
  try {
    vault = await openVault(parts)
  } catch (e) {
    await store.close()
    throw e
  }
  const world: World = {
    vault,
    store,
    opened,
    rooms,
    events,
    secrets,
    time,
    database,
    async newCaller(name = `user ${bytesToHex(randomBytes(4))}`) {
      const { apiKey } = await vault.createUser({ name })
      return { ...(await vault.authenticate(apiKey)), apiKey }
    },
    async close() {
      open.delete(world)
      await relay.close()
      await vault.close()
      await store.close()
    },
  }
  open.add(world)
  return world
}

/** The world after its server and its disk are gone: new everything, the same secrets, a while later. */
export async function afterTotalLoss(world: World, options: WorldOptions = {}): Promise<World> {
  await world.close()
  return openWorld({ secrets: world.secrets, now: world.time.now + 60_000, ...options })
}

/** The world after a restart on the same disk. */
export async function afterRestart(world: World, options: WorldOptions = {}): Promise<World> {
  await world.close()
  const { secrets, database } = world
  return openWorld({ secrets, database, now: world.time.now + 1000, ...options })
}

/** A seal with this world's secrets, for blobs that its vault would not make. */
export async function sealFor({ secrets, time }: World): Promise<BackupSeal> {
  const vaultName = 'vertex'
  const loaded = await BackupSecrets.load(source(secrets), {
    vaultName,
    clock: { now: () => time.now },
    log: () => undefined,
    storageFingerprint: new StorageKey(secrets.storageKey, vaultName).fingerprint,
  })
  return encryptedBackups({ vaultName, suite }, loaded)
}

function source(secrets: Secrets): SecretSource {
  return {
    setting: 'VERTEX_BACKUP_SECRET_FILE',
    changes: secrets.change ?? false,
    load: () =>
      Promise.resolve({
        enabled: secrets.backup.map(({ bytes, version }) => ({ bytes, name: 'backup', version })),
        disabled: (secrets.disabled ?? []).map((version) => ({ name: 'backup', version })),
      }),
  }
}

/** The verbs of a table with some of them replaced. */
export function withVerbs<Verbs extends object>(verbs: Verbs, replaced: Partial<Verbs>): Verbs {
  return new Proxy(verbs, {
    get(target, name) {
      if (name in replaced) return Reflect.get(replaced, name) as unknown
      const verb = Reflect.get(target, name) as unknown
      return typeof verb === 'function' ? (verb.bind(target) as unknown) : verb
    },
  })
}

function faulty(store: VaultStore): FaultyStore {
  const wrapped: FaultyStore = {
    refuse: undefined,
    afterCommit: undefined,
    tamper: undefined,
    async run(work) {
      if (wrapped.refuse?.() === true) throw new StorageUnavailable()
      const result = await store.run((uow) => work(wrapped.tamper?.(uow) ?? uow))
      wrapped.afterCommit?.()
      return result
    },
    async readForSigning(userId, keyId, since) {
      if (wrapped.refuse?.() === true) throw new StorageUnavailable()
      return store.readForSigning(userId, keyId, since)
    },
    async appendAudit(make, own) {
      if (wrapped.refuse?.() === true) throw new StorageUnavailable()
      return store.appendAudit(make, own)
    },
    readAudit: (after, most) => store.readAudit(after, most),
    check: () =>
      wrapped.refuse?.() === true ? Promise.reject(new StorageUnavailable()) : store.check(),
    close: () => store.close(),
  }
  return wrapped
}
