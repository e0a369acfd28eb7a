/** What happened to a share, as one server tells another. */
export type ShareEvent =
  | {
      readonly kind: 'put'
      readonly code: string
      /** 16 bytes. */
      readonly deleteTokenHash: Uint8Array
      readonly payload: Uint8Array
      /** Milliseconds since 1970. */
      readonly expiresAt: number
      readonly maxFetches: number
      readonly fetches: number
      readonly email?: string | undefined
    }
  | { readonly kind: 'fetches'; readonly code: string; readonly fetches: number }
  | { readonly kind: 'tombstone'; readonly code: string }
