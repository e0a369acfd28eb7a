import { randomBytes } from '@noble/hashes/utils.js'

/** A source of `length` random bytes. */
export type Rng = (length: number) => Uint8Array

/** The platform's generator (WebCrypto). Throws where the platform has none; there is no fallback. */
export const systemRng: Rng = (length) => randomBytes(length)
