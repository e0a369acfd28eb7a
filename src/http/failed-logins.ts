/** Failed authentications of one source in a window that are answered as what they are. */
const LIMIT = 10
const WINDOW_MS = 60_000

/** Bounds the memory this takes; the oldest entry makes room. */
const MAX_SOURCES = 10_000

interface Window {
  failures: number
  readonly endsAt: number
}

/**
 * Slows down those who try keys: after too many failures a source is told to wait. It counts failures only and is
 * asked after the check, so that nobody's key is ever refused for the failures of a neighbour behind the same address.
 */
export class FailedLogins {
  private readonly sources = new Map<string, Window>()

  /** @param now milliseconds from a clock that never goes back */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Counts a failure. @returns seconds until this source should try again; 0 while it is within its limit */
  failed(source: string): number {
    const now = this.now()
    const current = this.sources.get(source)
    if (current !== undefined && now < current.endsAt) {
      current.failures++
      return current.failures > LIMIT ? Math.ceil((current.endsAt - now) / 1000) : 0
    }
    this.sources.delete(source)
    if (this.sources.size >= MAX_SOURCES)
      this.sources.delete(this.sources.keys().next().value ?? '')
    this.sources.set(source, { failures: 1, endsAt: now + WINDOW_MS })
    return 0
  }
}
