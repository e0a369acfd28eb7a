import type { SealLog } from './log.js'
import { azureKeyVault } from './azure-key-vault.js'
import { secretFile } from './secret-file.js'

/** Where 32 secret bytes come from, as the configuration says it. */
export type KeySourceSetting =
  | { readonly kind: 'file'; readonly setting: string; readonly path: string }
  | { readonly kind: 'embedded'; readonly setting: string; readonly path: string }
  | {
      readonly kind: 'azure'
      readonly setting: string
      readonly vaultUrl: string
      readonly name: string
      /** Of a user-assigned managed identity; the system-assigned one without. */
      readonly clientId?: string | undefined
    }

/** One version of a secret. */
export interface SecretVersion {
  /** 32 bytes. */
  readonly bytes: Uint8Array
  /** Name and version where it was found: hints for people. The version of a file is empty. */
  readonly name: string
  readonly version: string
  /** When it was made, where its place knows that. Milliseconds since 1970. */
  readonly created?: number | undefined
}

/** Everything a source has of its secret at one moment. */
export interface SecretVersions {
  /** Newest first, at least one. */
  readonly enabled: readonly SecretVersion[]
  /** Versions that exist and must not be used. */
  readonly disabled: readonly { readonly name: string; readonly version: string }[]
}

/** A place that keeps a secret. */
export interface SecretSource {
  /** The setting to name when something is wrong with the secret. */
  readonly setting: string
  /** Whether another `load` may find something else. */
  readonly changes: boolean
  /**
   * @param first at start, a malformed newest version is an error; later it is logged and the one before stays in use
   * @throws SecretSettingError when what is there cannot be used
   * @throws SecretsUnavailable when it cannot be read now
   */
  load(first: boolean): Promise<SecretVersions>
}

/** The source that a setting describes. Nothing is read yet. */
export function secretSource(from: KeySourceSetting, log: SealLog): SecretSource {
  return from.kind === 'azure' ? azureKeyVault(from, log) : secretFile(from, log)
}

/** The newest version alone: what a storage key is. @throws SecretSettingError, SecretsUnavailable */
export async function loadNewest(source: SecretSource): Promise<SecretVersion> {
  const { enabled } = await source.load(true)
  return enabled[0]!
}
