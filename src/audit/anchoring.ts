import { setTimeout as sleep } from 'node:timers/promises'
import type { VaultLog } from '../vault/index.js'
import type { Clock } from '../vault/ports.js'
import { anchorOf } from './chain.js'
import type { AuditKeys } from './keys.js'
import { formatAnchor } from './line.js'
import type { AuditWriter } from './writer.js'

/** Somewhere that whoever writes the database cannot write. */
export interface AnchorPlace {
  readonly kind: 'file' | 'blob'
  /** Resolves when the line is kept. @throws AnchorRefused */
  append(line: string, signal: AbortSignal): Promise<void>
}

/** An anchor could not be kept. The message is a code, for the operator's log. */
export class AnchorRefused extends Error {
  override readonly name = 'AnchorRefused'
}

/** How long one place may take. Milliseconds. */
const PATIENCE_MS = 10_000
/** The same when the server is about to end. */
const LAST_PATIENCE_MS = 1_500

/**
 * Keeps the head of the log elsewhere, on a schedule, when it has moved; and prints it, so that a log of the server that
 * is collected is such a place too. docs/spec/audit-log.md, section 5.
 */
export class Anchoring {
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #printed = 0
  /** The last record that each place knows of. */
  readonly #kept = new Map<AnchorPlace, number>()

  constructor(
    private readonly writer: Pick<AuditWriter, 'head'>,
    private readonly keys: AuditKeys,
    private readonly clock: Clock,
    private readonly places: readonly AnchorPlace[],
    private readonly log: VaultLog,
  ) {}

  /** Anchors now and from now on. */
  begin(everyMs: number): void {
    this.#running = this.#anchor(PATIENCE_MS)
    // Of two that are due at once the second finds nothing to do.
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.#anchor(PATIENCE_MS))
    }, everyMs)
  }

  /** Anchors what there is at the end, if that is quickly done. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    const late = sleep(LAST_PATIENCE_MS, undefined, { ref: false })
    await Promise.race([this.#anchor(LAST_PATIENCE_MS), late])
  }

  async #anchor(patienceMs: number): Promise<void> {
    const { seq, hash, generation } = this.writer.head
    if (seq === 0) return
    const line = formatAnchor(anchorOf(this.keys, { seq, hash }, generation, this.clock.now()))
    if (seq > this.#printed) {
      this.#printed = seq
      this.log({ event: 'audit_anchor', seq, hash, line })
    }
    await Promise.all(
      this.places.map(async (place) => {
        if (this.#kept.get(place) === seq) return
        try {
          await place.append(line, AbortSignal.timeout(patienceMs))
          this.#kept.set(place, seq)
        } catch (error) {
          const reason = error instanceof AnchorRefused ? error.message : 'unexpected'
          this.log({ event: 'audit_anchor_failed', place: place.kind, reason })
        }
      }),
    )
  }
}
