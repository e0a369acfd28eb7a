/** So many sources are counted, which bounds the memory this takes. */
const MOST_SOURCES = 20_000
const MINUTE = 60_000

interface Bucket {
  /** In parts of a request: {@link MINUTE} of them are one. */
  parts: number
  at: number
}

/**
 * A token bucket for each source: so many requests at once, and then so many in a minute, evenly. In whole numbers, so
 * that the first request too many is always the same one. docs/spec/share-codes.md, 9.1
 */
export class TokenBuckets {
  /** In the order in which they were last asked for. */
  readonly #buckets = new Map<string, Bucket>()

  /**
   * @param perMinute 0 for no limit
   * @param now milliseconds of a clock that is never put back
   */
  constructor(
    private readonly perMinute: number,
    private readonly burst: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts one more request of a source. @returns whether it may be answered */
  take(source: string): boolean {
    return this.perMinute === 0 || this.#draw(source, MINUTE)
  }

  /** Whether one would be answered, which is not counted. */
  has(source: string): boolean {
    return this.perMinute === 0 || this.#filled(source).parts >= MINUTE
  }

  #draw(source: string, parts: number): boolean {
    const bucket = this.#filled(source)
    this.#keep(source, bucket)
    if (bucket.parts < parts) return false
    bucket.parts -= parts
    return true
  }

  #filled(source: string): Bucket {
    const at = Math.floor(this.now())
    const full = Math.max(1, this.burst) * MINUTE
    const before = this.#buckets.get(source)
    if (before === undefined) return { parts: full, at }
    return { parts: Math.min(full, before.parts + (at - before.at) * this.perMinute), at }
  }

  /** Of too many, the one that was not asked for the longest time begins anew. */
  #keep(source: string, bucket: Bucket): void {
    this.#buckets.delete(source)
    this.#buckets.set(source, bucket)
    if (this.#buckets.size <= MOST_SOURCES) return
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest)
      return
    }
  }
}
