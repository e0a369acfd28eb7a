import type { Suite } from '@vertex/mpc'
import type { Events } from './events.js'
import type { ShareStore } from './store/share-store.js'
import type { VertexClient } from './vertex-client.js'

/** What an app is asked before a backup is given away, if it wants to be. */
export interface RecoveryOffer {
  readonly id: string
  readonly url: string
  readonly keyId: string
  readonly generation: string
}

/**
 * `automatic`: a lost share is recovered inside the call that misses it. `off`: never; the call throws.
 * A function is asked each time.
 */
export type Recovery = 'automatic' | 'off' | ((offer: RecoveryOffer) => boolean | Promise<boolean>)

/** What all parts of the SDK share. */
export interface Context {
  readonly suite: Suite
  readonly store: ShareStore
  readonly events: Events
  readonly recovery: Recovery
  readonly deadlineMs: number
  /** The Vertex of this client. Its relay carries every run. */
  readonly main: VertexClient
}
