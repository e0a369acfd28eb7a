import { bytesToHex, equalBytes } from '@vertex/mpc'
import type { BackupSecretHint, Clock } from '../vault/ports.js'
import { backupInvalid, backupKeyUnavailable, SecretSettingError } from './errors.js'
import { SecretsUnavailable } from './errors.js'
import { BackupSecret } from './hierarchy.js'
import type { SecretSource, SecretVersions } from './key-source.js'
import type { SealLog } from './log.js'

export interface BackupSecretsOptions {
  readonly vaultName: string
  readonly clock: Clock
  readonly log: SealLog
  /** Fingerprint of the storage key, which no backup secret may equal. */
  readonly storageFingerprint: Uint8Array
  /** How old what was loaded may be before the source is asked again. */
  readonly ttlMs?: number
  /** How long it stays in use while the source cannot be read. */
  readonly graceMs?: number
  /** How many looks for unknown secrets may be made at once, and how long until another is granted. */
  readonly looks?: number
  readonly lookEveryMs?: number
}

/** Keeps the fingerprint of a secret before its first use as the newest; may be told the same one again. */
export type SecretRecorder = (secret: BackupSecret) => Promise<void>

/**
 * Every enabled version of the backup secret. Kept in memory, refreshed on demand; a version that was disabled is gone
 * after the time to live at the latest. While the key vault cannot be read, what is known is used for a while, and then
 * nothing is: export and import answer 503, never anything weaker.
 */
export class BackupSecrets {
  readonly #source: SecretSource
  readonly #options: Required<BackupSecretsOptions>
  /** Fingerprints that were enabled once, here or in the database's memory. */
  readonly #seen = new Set<string>()
  /** Id of the one that was last kept as the newest. */
  #recorded: string | undefined
  #recorder: SecretRecorder | undefined
  #secrets: readonly BackupSecret[] = []
  #disabled: SecretVersions['disabled'] = []
  #newestCreated: number | undefined
  #loadedAt = 0
  #triedAt = 0
  #loading: Promise<void> | undefined
  #looks: number
  #lookedAt: number

  private constructor(source: SecretSource, options: BackupSecretsOptions) {
    this.#source = source
    this.#options = {
      ttlMs: 300_000,
      graceMs: 3_600_000,
      looks: 16,
      lookEveryMs: 5_000,
      ...options,
    }
    this.#looks = this.#options.looks
    this.#lookedAt = options.clock.now()
  }

  /**
   * Loads the secret at start.
   * @throws SecretSettingError when it cannot be used; SecretsUnavailable when it cannot be read now
   */
  static async load(source: SecretSource, options: BackupSecretsOptions): Promise<BackupSecrets> {
    const secrets = new BackupSecrets(source, options)
    await secrets.#load(true)
    return secrets
  }

  /** Secrets that the database was used with: a blob of one of them is not a bad blob, its secret is missing. */
  remember(fingerprints: Iterable<string>): void {
    for (const fingerprint of fingerprints) this.#seen.add(fingerprint)
  }

  /** From now on nothing is sealed with a secret before `recorder` has kept its fingerprint. */
  recordWith(recorder: SecretRecorder): void {
    this.#recorder = recorder
  }

  /** Newest first, never empty; may be older than the time to live, then a look at the source is begun. */
  all(): readonly BackupSecret[] {
    if (this.#stale() && !this.#isRecent(this.#triedAt)) this.#refresh().catch(() => undefined) // logged where it fails
    return this.#secrets
  }

  /** Versions that exist and are disabled, as of the last look. */
  get disabled(): SecretVersions['disabled'] {
    return this.#disabled
  }

  /** How old the newest version is, and what is known of the source; the latter only of a source that changes. Seconds. */
  get ages(): { secret: number | undefined; reading: number | undefined } {
    const since = (time: number) => Math.max(0, (this.#now() - time) / 1000)
    return {
      secret: this.#newestCreated === undefined ? undefined : since(this.#newestCreated),
      reading: this.#source.changes ? since(this.#loadedAt) : undefined,
    }
  }

  /**
   * The one that new blobs are sealed with.
   * @param look whether the source is asked first, however young what is known is
   * @throws VaultError `backup_key_unavailable`
   */
  async newest({ look = false } = {}): Promise<BackupSecret> {
    await (look ? this.#looked() : this.#fresh())
    const newest = this.#secrets[0]!
    if (this.#recorder !== undefined && this.#recorded !== newest.id) {
      await this.#recorder(newest)
      this.#recorded = newest.id
    }
    return newest
  }

  /**
   * The secret a blob was sealed with. An unknown one is looked for in the source, within limits.
   * @throws VaultError `backup_key_unavailable` when it exists but cannot be had, `backup_invalid` when nothing says
   * that it ever existed
   */
  async find(hint: BackupSecretHint): Promise<BackupSecret> {
    await this.#fresh()
    const known = this.#known(hint.fingerprint)
    if (known !== undefined) return known
    const contradicted = this.#secrets.some((one) => sameVersion(one, hint))
    if (!contradicted && this.#source.changes) {
      this.#spendLook()
      await this.#refreshed()
      const found = this.#known(hint.fingerprint)
      if (found !== undefined) return found
    }
    const existed =
      this.#seen.has(bytesToHex(hint.fingerprint)) ||
      this.#disabled.some((one) => sameVersion(one, hint))
    throw existed ? backupKeyUnavailable() : backupInvalid('secret_unknown')
  }

  #known(fingerprint: Uint8Array): BackupSecret | undefined {
    return this.#secrets.find((one) => equalBytes(one.fingerprint, fingerprint))
  }

  #now(): number {
    return this.#options.clock.now()
  }

  /** Milliseconds. A clock that was put back must not keep young what is old. */
  #since(time: number): number {
    return Math.abs(this.#now() - time)
  }

  #isRecent(time: number): boolean {
    return this.#since(time) <= this.#options.lookEveryMs
  }

  #stale(): boolean {
    return this.#source.changes && this.#since(this.#loadedAt) > this.#options.ttlMs
  }

  /** Looks again when what is known is old; bears a failure while it is not too old. */
  async #fresh(): Promise<void> {
    if (!this.#stale()) return
    const bearable = this.#since(this.#loadedAt) <= this.#options.graceMs
    // While the key vault is down, not every request waits for it.
    if (bearable && this.#isRecent(this.#triedAt)) return
    try {
      await this.#refresh()
    } catch (error) {
      if (!bearable) throw unavailable(error)
    }
  }

  /** Looks again unless that was done a moment ago; bears no failure, and not every request waits for one. */
  async #looked(): Promise<void> {
    if (!this.#source.changes || this.#isRecent(this.#loadedAt)) return
    if (this.#loading === undefined && this.#isRecent(this.#triedAt))
      throw backupKeyUnavailable(Math.ceil(this.#options.lookEveryMs / 1000))
    try {
      await (this.#loading ?? this.#refresh())
    } catch (error) {
      throw unavailable(error)
    }
  }

  async #refreshed(): Promise<void> {
    try {
      await this.#refresh()
    } catch (error) {
      throw unavailable(error)
    }
  }

  /** Blobs with invented fingerprints must not become a flood of requests to the key vault. */
  #spendLook(): void {
    const { looks, lookEveryMs } = this.#options
    // After a clock that was put back, counting begins there.
    this.#lookedAt = Math.min(this.#lookedAt, this.#now())
    const gained = Math.floor((this.#now() - this.#lookedAt) / lookEveryMs)
    if (gained > 0) {
      this.#looks = Math.min(looks, this.#looks + gained)
      this.#lookedAt += gained * lookEveryMs
    }
    if (this.#looks === 0)
      throw backupKeyUnavailable(
        Math.max(1, Math.ceil((this.#lookedAt + lookEveryMs - this.#now()) / 1000)),
      )
    this.#looks--
  }

  /** One look at a time; whoever comes meanwhile looks again after it, because it may have begun too early. */
  async #refresh(): Promise<void> {
    if (this.#loading !== undefined) await this.#loading.catch(() => undefined)
    this.#loading ??= this.#load(false).finally(() => (this.#loading = undefined))
    await this.#loading
  }

  async #load(first: boolean): Promise<void> {
    const { log, storageFingerprint, vaultName } = this.#options
    const { setting } = this.#source
    this.#triedAt = this.#now()
    let found: SecretVersions
    try {
      found = await this.#source.load(first)
    } catch (error) {
      if (!first) log({ event: 'key_vault_trouble', setting, ...troubleOf(error) })
      throw error
    }
    const secrets: BackupSecret[] = []
    let newestCreated: number | undefined
    for (const { bytes, name, version, created } of found.enabled) {
      const secret = new BackupSecret(bytes, vaultName, name, version)
      if (equalBytes(secret.fingerprint, storageFingerprint)) {
        if (first)
          throw new SecretSettingError(
            setting,
            'the backup secret and the storage key must not be the same',
          )
        log({ event: 'secret_version_refused', setting, version })
        continue
      }
      // The same bytes under an older version again: the newer entry stands for both.
      if (secrets.some((one) => one.id === secret.id)) continue
      if (secrets.length === 0) newestCreated = created
      secrets.push(secret)
    }
    if (secrets.length === 0) throw new SecretsUnavailable('no_usable_version')
    const same = secrets.length === this.#secrets.length && this.#secrets[0]?.id === secrets[0]?.id
    this.#secrets = secrets
    this.#newestCreated = newestCreated
    this.#disabled = found.disabled
    this.#loadedAt = this.#triedAt
    for (const { id } of secrets) this.#seen.add(id)
    if (!same)
      log({
        event: 'secrets_loaded',
        setting,
        newest: secrets[0]!.version,
        versions: secrets.length,
        disabled: found.disabled.length,
      })
  }
}

function sameVersion(
  a: { readonly name: string; readonly version: string },
  b: { readonly name: string; readonly version: string },
): boolean {
  return a.version !== '' && a.name === b.name && a.version === b.version
}

function unavailable(error: unknown) {
  return backupKeyUnavailable(
    error instanceof SecretsUnavailable ? error.retryAfter : undefined,
    error,
  )
}

function troubleOf(error: unknown): { status: number | undefined; code: string } {
  if (error instanceof SecretsUnavailable) return { status: error.status, code: error.code }
  return {
    status: undefined,
    code: error instanceof SecretSettingError ? error.message : 'unknown',
  }
}
