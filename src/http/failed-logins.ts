import { createHash } from 'node:crypto'

/** Failed authentications that one source may have in a window. */
const LIMIT = 10
const WINDOW_MS = 60_000

/** Bounds of the memory this takes; the oldest entry makes room. */
const MAX_SOURCES = 10_000
const MAX_CREDENTIALS = 10_000

interface Window {
  failures: number
  readonly endsAt: number
}

/**
 * Slows down those who try keys. A source with too many failures in a minute is not listened to until the minute is
 * over, except for credentials that lately worked: a neighbour behind the same address must not lock anybody out.
 */
export class FailedLogins {
  private readonly sources = new Map<string, Window>()
  private readonly worked = new Set<string>()

  /** @param now milliseconds from a clock that never goes back */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Seconds until this source may try again; 0 when it may now. */
  wait(source: string, credential: string): number {
    const window = this.sources.get(source)
    if (window === undefined || window.failures < LIMIT || this.worked.has(digest(credential)))
      return 0
    return Math.max(0, Math.ceil((window.endsAt - this.now()) / 1000))
  }

  succeeded(credential: string): void {
    remember(this.worked, digest(credential), MAX_CREDENTIALS)
  }

  failed(source: string, credential: string): void {
    this.worked.delete(digest(credential))
    const now = this.now()
    const current = this.sources.get(source)
    if (current !== undefined && now < current.endsAt) {
      current.failures++
      return
    }
    this.sources.delete(source)
    if (this.sources.size >= MAX_SOURCES)
      this.sources.delete(this.sources.keys().next().value ?? '')
    this.sources.set(source, { failures: 1, endsAt: now + WINDOW_MS })
  }
}

function remember(set: Set<string>, value: string, limit: number): void {
  if (!set.has(value) && set.size >= limit) set.delete(set.values().next().value ?? '')
  set.add(value)
}

function digest(credential: string): string {
  return createHash('sha256').update(credential).digest('base64')
}
