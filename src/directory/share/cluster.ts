import type { Locator } from '@vertex/directory/share'

/** What a server knows of itself and the others. */
export interface Cluster {
  /** Which servers the next code names. */
  readonly locator: () => Locator | Promise<Locator>
  /** Whether this server answers for a code that names others. */
  readonly serves: (code: string) => boolean
  /** What every answer has at its end. */
  readonly topology: () => Uint8Array | Promise<Uint8Array>
}
