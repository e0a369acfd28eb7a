/** What the seals tell the operator. Names, versions and codes; never a value. */
export type SealEvent =
  /** Others than the owner can read a secret file. */
  | {
      readonly event: 'secret_file_open_to_others'
      readonly setting: string
      readonly mode: string
    }
  /** A version of the secret that is not 32 bytes and that nothing can have been sealed with. */
  | {
      readonly event: 'secret_version_malformed'
      readonly setting: string
      readonly version: string
    }
  /** A version that must not be used because the storage key has the same bytes. */
  | { readonly event: 'secret_version_refused'; readonly setting: string; readonly version: string }
  | {
      readonly event: 'secrets_loaded'
      readonly setting: string
      readonly newest: string
      readonly versions: number
      readonly disabled: number
    }
  /** The key vault could not be read; what was loaded before stays in use for a while. */
  | {
      readonly event: 'key_vault_trouble'
      readonly setting: string
      readonly status: number | undefined
      readonly code: string
    }

export type SealLog = (event: SealEvent) => void
