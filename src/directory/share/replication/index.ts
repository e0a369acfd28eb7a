import type { ShareEvent } from '@vertex/directory/share'
import type { Unit, UnitStore } from '../../../store/index.js'
import { CLOCKS_MS, GONE, Marks } from './marks.js'
import { Outbox, type OutboxSettings, type Post, type ReplicationLog } from './outbox.js'
import { Replicas, type ApplyEvent } from './replicas.js'

export type { Post, ReplicationLog, ReplicationLogEvent } from './outbox.js'

export interface ReplicationSettings extends OutboxSettings {
  /** How long a share can live. */
  readonly maxTtlMs: number
}

/** A server of share codes beside others that have a state of their own. docs/spec/share-replication.md */
export class Replication {
  readonly outbox: Outbox
  readonly #marks: Marks

  constructor(
    private readonly store: UnitStore,
    private readonly settings: ReplicationSettings,
    post: Post,
    private readonly now: () => number,
    private readonly log: ReplicationLog,
  ) {
    this.outbox = new Outbox(store, settings, post, now, log)
    this.#marks = new Marks(store, settings.maxTtlMs + CLOCKS_MS, now)
  }

  /** What the store of shares tells of each change, in the unit that makes it. */
  readonly tell = async (unit: Unit, event: ShareEvent, endsAt?: number): Promise<void> => {
    if (event.kind === 'tombstone') await this.#marks.set(unit, event.code, GONE, endsAt)
    if (this.settings.peers.length === 0) return
    const expiresAt =
      event.kind === 'put'
        ? event.expiresAt
        : Math.max(this.now() + this.settings.maxTtlMs, endsAt ?? 0)
    await this.outbox.enqueue(unit, event, expiresAt)
  }

  /** What applies the events of others. */
  replicas(apply: ApplyEvent): Replicas {
    return new Replicas(this.store, apply, this.#marks, this.log)
  }

  async prune(): Promise<void> {
    await this.outbox.prune()
    await this.#marks.prune()
  }
}
