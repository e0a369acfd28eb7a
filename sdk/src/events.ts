import type { RollbackReason } from './errors.js'

/** What an app can listen to with `vertex.on(name, listener)`. */
export interface VertexEvents {
  /** The server's share was lost and came back from the stored backup. */
  recovered: {
    readonly id: string
    readonly url: string
    readonly keyId: string
    readonly formerKeyId: string
    readonly generation: string
  }
  /** A backup of a server's share was exported, verified and stored. */
  backup: {
    readonly id: string
    readonly url: string
    readonly keyId: string
    readonly epoch: number
  }
  /** A Vertex went back to an older state; the work on this key stopped. */
  'rollback-detected': {
    readonly id: string
    readonly url: string
    readonly reason: RollbackReason
  }
}

export type Listener<T> = (event: T) => void

/** A typed emitter. A listener that throws does not disturb the work it is told about. */
export class Events {
  readonly #listeners = new Map<keyof VertexEvents, Set<Listener<never>>>()

  /** Listens; the returned function stops listening. */
  on<Name extends keyof VertexEvents>(
    name: Name,
    listener: Listener<VertexEvents[Name]>,
  ): () => void {
    let all = this.#listeners.get(name)
    if (all === undefined) this.#listeners.set(name, (all = new Set()))
    all.add(listener)
    return () => void all.delete(listener)
  }

  emit<Name extends keyof VertexEvents>(name: Name, event: VertexEvents[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        ;(listener as Listener<VertexEvents[Name]>)(event)
      } catch (error) {
        // The app's own fault: reported where uncaught errors go, not here.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
