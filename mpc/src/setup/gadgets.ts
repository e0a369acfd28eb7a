import { bytesToHex } from '../bytes.js'
import type { PartyIndex } from '../party.js'

/** The gadgets of 128 setups: 13,312 bytes each. */
const MOST = 256

/**
 * Gadgets that have been derived already, the least used ones forgotten first. They are public, so whoever decodes the
 * same setups again and again may keep them while the setups themselves are wiped.
 */
export class Gadgets {
  readonly #known = new Map<string, Uint8Array>()

  constructor(readonly most = MOST) {}

  /** The gadget of a seed for one direction. */
  get(seed: Uint8Array, receiver: PartyIndex, derive: () => Uint8Array): Uint8Array {
    const name = `${bytesToHex(seed)}/${receiver}`
    const gadget = this.#known.get(name) ?? derive()
    this.#known.delete(name)
    this.#known.set(name, gadget)
    if (this.#known.size > this.most) {
      const oldest = this.#known.keys().next()
      if (oldest.done !== true) this.#known.delete(oldest.value)
    }
    return gadget
  }
}
