import type { ManagedIdentityCredential } from '@azure/identity'
import type { SecretClient } from '@azure/keyvault-secrets'
import { SecretSettingError, SecretsUnavailable } from './errors.js'
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

export const defaultPatience: Patience = { totalMs: 10_000, requestMs: 5_000, attempts: 4 }
const FIRST_PAUSE_MS = 200

/** Asks for one secret in an Azure Key Vault, as the managed identity of the machine. */
export class KeyVaultClient {
  #client: SecretClient | undefined

  constructor(
    private readonly secret: AzureSecret,
    private readonly patience: Patience,
  ) {}

  /** Tries within a deadline, waits as long as the key vault asks for where that fits, and gives up in words. */
  async patiently<T>(
    until: number,
    ask: (client: SecretClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const left = until - Date.now()
      let trouble: Trouble
      try {
        if (left <= 0) throw new TimedOut()
        return await within(Math.min(left, this.patience.requestMs), async (signal) =>
          ask(await this.#connected(), signal),
        )
      } catch (error) {
        trouble = troubleOf(error)
      }
      if (trouble.status === 404)
        throw new SecretSettingError(
          this.secret.setting,
          `the key vault has no secret ${this.secret.name}`,
        )
      const asked = trouble.retryAfter === undefined ? undefined : trouble.retryAfter * 1000
      const pause = asked ?? FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
      if (
        !trouble.passing ||
        attempt >= this.patience.attempts ||
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
    const { vaultUrl, clientId } = this.secret
    const identity: ManagedIdentityCredential =
      clientId === undefined ? new Credential() : new Credential({ clientId })
    // Retries are ours: the built-in ones wait for any Retry-After, however long, and then hide it.
    this.#client = new Client(vaultUrl, identity, { retryOptions: { maxRetries: 0 } })
    return this.#client
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
