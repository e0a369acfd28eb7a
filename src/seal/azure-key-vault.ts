import type { ManagedIdentityCredential } from '@azure/identity'
import type { SecretClient, SecretProperties } from '@azure/keyvault-secrets'
import { SecretSettingError, SecretsUnavailable } from './errors.js'
import type { SecretSource, SecretVersion, SecretVersions } from './key-source.js'
import type { SealLog } from './log.js'
import { parseSecret } from './secret.js'
import { TimedOut, within } from './within.js'

export interface AzureSecret {
  readonly setting: string
  /** https, without a path: https://NAME.vault.azure.net, or another host in a sovereign cloud. */
  readonly vaultUrl: string
  readonly name: string
  readonly clientId?: string | undefined
}

/** How long one look into the key vault may take, retries and waiting included. */
export interface Patience {
  readonly totalMs: number
  readonly requestMs: number
  readonly attempts: number
}

const defaultPatience: Patience = { totalMs: 10_000, requestMs: 5_000, attempts: 4 }
const FIRST_PAUSE_MS = 200
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
  #client: SecretClient | undefined

  constructor(secret: AzureSecret, log: SealLog, patience: Patience) {
    this.setting = secret.setting
    this.#secret = secret
    this.#log = log
    this.#patience = patience
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
    return this.#patiently(until, async (client, abortSignal) => {
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
      value = await this.#patiently(until, async (client, abortSignal) => {
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
      current = await this.#patiently(until, async (client, abortSignal) => {
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

  /** Tries within a deadline, waits as long as the key vault asks for where that fits, and gives up in words. */
  async #patiently<T>(
    until: number,
    ask: (client: SecretClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const left = until - Date.now()
      let trouble: Trouble
      try {
        if (left <= 0) throw new TimedOut()
        return await within(Math.min(left, this.#patience.requestMs), async (signal) =>
          ask(await this.#connected(), signal),
        )
      } catch (error) {
        trouble = troubleOf(error)
      }
      if (trouble.status === 404)
        throw new SecretSettingError(
          this.setting,
          `the key vault has no secret ${this.#secret.name}`,
        )
      const asked = trouble.retryAfter === undefined ? undefined : trouble.retryAfter * 1000
      const pause = asked ?? FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
      if (
        !trouble.passing ||
        attempt >= this.#patience.attempts ||
        Date.now() + pause >= until - FIRST_PAUSE_MS
      ) {
        const { code, status, retryAfter } = trouble
        throw new SecretsUnavailable(code, status, retryAfter)
      }
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  async #connected(): Promise<SecretClient> {
    if (this.#client !== undefined) return this.#client
    // Loaded only where it is configured: the two packages cost half a second of every start.
    const [{ SecretClient: Client }, { ManagedIdentityCredential: Credential }] = await Promise.all(
      [import('@azure/keyvault-secrets'), import('@azure/identity')],
    )
    const { vaultUrl, clientId } = this.#secret
    const identity: ManagedIdentityCredential =
      clientId === undefined ? new Credential() : new Credential({ clientId })
    // Retries are ours: the built-in ones wait for any Retry-After, however long, and then hide it.
    this.#client = new Client(vaultUrl, identity, { retryOptions: { maxRetries: 0 } })
    return this.#client
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

interface Trouble {
  readonly code: string
  readonly status: number | undefined
  readonly retryAfter: number | undefined
  /** Whether another attempt may end differently. */
  readonly passing: boolean
}

/** What is worth knowing of an error, and nothing else of it: it may hold the request. */
function troubleOf(error: unknown): Trouble {
  if (error instanceof TimedOut)
    return { code: 'timeout', status: undefined, retryAfter: undefined, passing: true }
  const { statusCode, code, message, response } = Object(error) as {
    statusCode?: unknown
    code?: unknown
    message?: unknown
    response?: { headers?: { get(name: string): string | undefined } }
  }
  const status = typeof statusCode === 'number' ? statusCode : undefined
  const disabled = status === 403 && typeof message === 'string' && /disabled secret/i.test(message)
  const word = typeof code === 'string' && /^[\w-]{1,64}$/.test(code) ? code : 'connection'
  return {
    code: disabled ? 'SecretDisabled' : status === undefined ? word : `http_${status}`,
    status,
    retryAfter: seconds(response?.headers?.get('retry-after')),
    passing: status === undefined || status === 408 || status === 429 || status >= 500,
  }
}

/** Retry-After as seconds or as a date. */
function seconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header)
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000))
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
