import type { SecretProperties } from '@azure/keyvault-secrets'
import { SecretSettingError, SecretsUnavailable } from './errors.js'
import type { SecretSource, SecretVersion, SecretVersions } from './key-source.js'
import type { SealLog } from './log.js'
import {
  defaultPatience,
  KeyVaultClient,
  type AzureSecret,
  type Patience,
} from './key-vault-client.js'
import { parseSecret } from './secret.js'

const PARALLEL_GETS = 4

/**
 * A secret in an Azure Key Vault, read as the managed identity of the machine. Every enabled version is loaded;
 * versions never change, so a later look fetches only what is new.
 */
export function azureKeyVault(
  secret: AzureSecret,
  log: SealLog,
  patience: Patience = defaultPatience,
): SecretSource {
  return new AzureKeyVault(secret, log, patience)
}

class AzureKeyVault implements SecretSource {
  readonly changes = true
  readonly setting: string
  readonly #secret: AzureSecret
  readonly #log: SealLog
  readonly #patience: Patience
  readonly #values = new Map<string, Uint8Array | 'malformed'>()
  readonly #client: KeyVaultClient

  constructor(secret: AzureSecret, log: SealLog, patience: Patience) {
    this.setting = secret.setting
    this.#secret = secret
    this.#log = log
    this.#patience = patience
    this.#client = new KeyVaultClient(secret, patience)
  }

  async load(first: boolean): Promise<SecretVersions> {
    const until = Date.now() + this.#patience.totalMs
    const listed = await this.#list(until)
    const disabled = listed.filter(({ enabled }) => !enabled).map(({ version }) => version)
    const wanted = listed.filter(({ enabled }) => enabled)
    await inParallel(PARALLEL_GETS, wanted, async ({ version }) => {
      if (this.#values.has(version)) return
      const value = await this.#get(version, until)
      if (value === undefined) disabled.push(version)
      else this.#values.set(version, value)
    })
    for (const version of this.#values.keys())
      if (!wanted.some((listing) => listing.version === version)) this.#forget(version)

    const present = wanted.filter(({ version }) => this.#values.has(version))
    const ordered = await this.#newestFirst(present, until)
    const { name } = this.#secret
    const enabled: SecretVersion[] = []
    for (const [rank, { version, created }] of ordered.entries()) {
      const bytes = this.#values.get(version)!
      // A copy, because whoever gets it may wipe it.
      if (bytes !== 'malformed') enabled.push({ bytes: bytes.slice(), name, version, created })
      else if (first && rank === 0) throw this.#malformed(version)
      else this.#log({ event: 'secret_version_malformed', setting: this.setting, version })
    }
    if (enabled.length === 0)
      throw new SecretSettingError(this.setting, `the secret ${name} has no enabled version`)
    return { enabled, disabled: disabled.map((version) => ({ name, version })) }
  }

  #malformed(version: string): SecretSettingError {
    return new SecretSettingError(
      this.setting,
      `version ${version} of ${this.#secret.name} must be exactly 32 bytes, written as base64, base64url or hex`,
    )
  }

  #forget(version: string): void {
    const value = this.#values.get(version)
    if (value instanceof Uint8Array) value.fill(0)
    this.#values.delete(version)
  }

  async #list(until: number): Promise<readonly Listing[]> {
    return this.#client.patiently(until, async (client, abortSignal) => {
      const found: Listing[] = []
      const pages = client.listPropertiesOfSecretVersions(this.#secret.name, { abortSignal })
      for await (const properties of pages) found.push(listing(properties))
      return found
    })
  }

  /** Undefined for a version that was disabled since it was listed. */
  async #get(version: string, until: number): Promise<Uint8Array | 'malformed' | undefined> {
    let value: string | undefined
    try {
      value = await this.#client.patiently(until, async (client, abortSignal) => {
        const secret = await client.getSecret(this.#secret.name, { version, abortSignal })
        return secret.value
      })
    } catch (error) {
      if (error instanceof SecretsUnavailable && error.code === 'SecretDisabled') return undefined
      throw error
    }
    try {
      return parseSecret(value ?? '', this.setting)
    } catch {
      return 'malformed'
    }
  }

  /** By creation. The key vault counts in seconds: where that leaves a tie, its own idea of the current one decides. */
  async #newestFirst(listings: readonly Listing[], until: number): Promise<readonly Listing[]> {
    const ordered = [...listings].sort(
      (a, b) => b.created - a.created || (a.version < b.version ? -1 : 1),
    )
    const tied = ordered.filter(({ created }) => created === ordered[0]!.created)
    if (tied.length < 2) return ordered
    let current: string | undefined
    try {
      current = await this.#client.patiently(until, async (client, abortSignal) => {
        const secret = await client.getSecret(this.#secret.name, { abortSignal })
        return secret.properties.version
      })
    } catch (error) {
      // The current version is a disabled one: it says nothing about the others.
      if (!(error instanceof SecretsUnavailable && error.code === 'SecretDisabled')) throw error
    }
    const chosen = tied.find(({ version }) => version === current)
    return chosen === undefined ? ordered : [chosen, ...ordered.filter((one) => one !== chosen)]
  }
}

interface Listing {
  readonly version: string
  readonly enabled: boolean
  /** Milliseconds since 1970, on a whole second. */
  readonly created: number
}

function listing({ version, enabled, createdOn }: SecretProperties): Listing {
  return {
    version: version ?? '',
    enabled: enabled ?? true,
    created: createdOn?.getTime() ?? 0,
  }
}

async function inParallel<T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/**
 * The current version of a secret, as it is written there: what an admin token is.
 * @throws SecretSettingError, SecretsUnavailable
 */
export async function textInKeyVault(
  secret: AzureSecret,
  patience: Patience = defaultPatience,
): Promise<string> {
  const client = new KeyVaultClient(secret, patience)
  return client.patiently(Date.now() + patience.totalMs, async (vault, abortSignal) => {
    const { value } = await vault.getSecret(secret.name, { abortSignal })
    return value ?? ''
  })
}
