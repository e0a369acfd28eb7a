import { utf8ToBytes } from '@noble/hashes/utils.js'
import { u64, u8, wipe } from './bytes.js'
import type { PartyIndex } from './party.js'
import type { Rng } from './rng.js'
import { tags } from './tags.js'
import { Transcript, type KeyedHash } from './transcript.js'

/**
 * The randomness of one run, hedged: a PRF keyed by H(32 random bytes, the party's secret, what the run is about,
 * everything received so far). A broken or cloned random source alone then repeats nothing, as long as one of the
 * other parts differs; a party that absorbs its peer's first message before it draws meets whoever changes that message
 * with other randomness, even if all else repeats. What that does not cover: docs/spec/sign.md, section 2
 */
export class Hedge {
  readonly #rng: Rng
  readonly #hash: KeyedHash
  #key: Uint8Array
  #drawn = new Set<string>()

  /**
   * Step H.1.
   * @param context what the run is about, fixed-length items; `secret` is long-lived and the party's own
   */
  constructor(rng: Rng, hash: KeyedHash, secret: Uint8Array, ...context: readonly Uint8Array[]) {
    this.#rng = rng
    this.#hash = hash
    this.#key = new Transcript(tags.hedgeKey, hash)
      .add(drawSeed(rng), secret)
      .list(context)
      .digest()
  }

  /** Step H.2. Mixes in what has been received, and 32 fresh random bytes. Streams taken before are not affected. */
  absorb(...received: readonly Uint8Array[]): void {
    const before = this.#key
    this.#key = new Transcript(tags.hedgeKey, this.#hash)
      .add(drawSeed(this.#rng), before)
      .list(received)
      .digest()
    wipe(before)
    this.#drawn = new Set()
  }

  /**
   * Step H.3. A stream of its own for one purpose, towards one peer where that matters.
   * @throws Error when the same stream is asked for twice, since it would repeat
   */
  stream(purpose: string, peer?: PartyIndex): Rng {
    const name = `${purpose}/${peer ?? 0}`
    if (this.#drawn.has(name)) throw new Error(`the stream ${name} has been drawn already`)
    this.#drawn.add(name)
    const key = new Transcript(tags.hedgeStream, this.#hash)
      .add(this.#key, utf8ToBytes(purpose), u8(peer ?? 0))
      .digest()
    let block = 0
    return (length) => this.#hash(key, u64(block++), length)
  }
}

function drawSeed(rng: Rng): Uint8Array {
  const seed = rng(32)
  if (seed.length !== 32) throw new Error('the random source gave too few bytes')
  return seed
}
