import { concatBytes, u8 } from '../bytes.js'
import type { Kernel } from '../kernel/kernel.js'
import { DELTA_BYTES, KEY_BYTES, LEAF_TABLE_BYTES } from '../ot/parameters.js'
import { partyIndex, type PartyIndex } from '../party.js'
import { deriveGadget } from '../vole/gadget.js'
import { Gadgets } from './gadgets.js'

/** What an OT setup holds. Everything but `id`, `me`, `peer` and `gadgetSeed` is secret. */
export interface PairSetupParts {
  readonly id: Uint8Array
  readonly me: PartyIndex
  readonly peer: PartyIndex
  readonly gadgetSeed: Uint8Array
  readonly zeroSeed: Uint8Array
  readonly leaves: Uint8Array
  readonly delta: Uint8Array
  readonly puncturedLeaves: Uint8Array
}

/**
 * The OT setup between this party and one other: a cache that makes signing symmetric-key work. It belongs to one
 * (share, epoch, peer), is never exported with a backup, and is retired for ever after one failed check.
 * Printing one shows its id and parties only.
 */
export class PairSetup implements PairSetupParts {
  /** 32 bytes: hash of the setup's transcript, confirmed by both sides. */
  readonly id: Uint8Array
  readonly me: PartyIndex
  readonly peer: PartyIndex
  /** Public: from it both directions' gadgets are derived. */
  readonly gadgetSeed: Uint8Array
  /** Known to both parties: the pair's part in sharings of zero. */
  readonly zeroSeed: Uint8Array
  /** All leaves of the direction in which this party receives: 64 trees of 4 leaves of 32 bytes. */
  readonly leaves: Uint8Array
  /** Δ of the direction in which this party sends. */
  readonly delta: Uint8Array
  /** That direction's leaves, with zeros in place of leaf Δ_g of tree g. */
  readonly puncturedLeaves: Uint8Array
  readonly #gadgets: Gadgets
  readonly #own = new Map<PartyIndex, Uint8Array>()

  /**
   * @param gadgets those of other setups too, which outlive this one
   * @throws RangeError when a part has a wrong length or the parties are the same
   */
  constructor(parts: PairSetupParts, gadgets = new Gadgets()) {
    this.#gadgets = gadgets
    if (parts.me === parts.peer) throw new RangeError('an OT setup is between two parties')
    this.id = sized(parts.id, 32)
    this.me = parts.me
    this.peer = parts.peer
    this.gadgetSeed = sized(parts.gadgetSeed, 32)
    this.zeroSeed = sized(parts.zeroSeed, 32)
    this.leaves = sized(parts.leaves, LEAF_TABLE_BYTES)
    this.delta = sized(parts.delta, DELTA_BYTES)
    this.puncturedLeaves = sized(parts.puncturedLeaves, LEAF_TABLE_BYTES)
  }

  /** The public gadget of the direction in which `receiver` chooses; derived once. docs/spec/vole.md, step 1. */
  gadget(kernel: Kernel, receiver: PartyIndex): Uint8Array {
    let gadget = this.#own.get(receiver)
    if (gadget === undefined) {
      const { gadgetSeed } = this
      const derive = () => deriveGadget(kernel, gadgetSeed, receiver)
      this.#own.set(receiver, (gadget = this.#gadgets.get(gadgetSeed, receiver, derive)))
    }
    return gadget
  }

  /** Overwrites the secrets; the setup is useless afterwards. Best effort: the engine may have made copies. */
  wipe(): void {
    for (const secret of [this.zeroSeed, this.leaves, this.delta, this.puncturedLeaves])
      secret.fill(0)
  }

  toJSON(): string {
    return '[secret]'
  }

  toString(): string {
    return `PairSetup(party ${this.me} with ${this.peer}) [secret]`
  }

  /** What Node's console shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

function sized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`expected ${length} bytes, not ${bytes.length}`)
  return bytes
}

const VERSION = 1

/** Bytes of an encoded setup: the version byte, then the fields in the order of docs/spec/setup.md. */
export const PAIR_SETUP_BYTES = 1 + 32 + 2 + 2 * KEY_BYTES + 2 * LEAF_TABLE_BYTES + DELTA_BYTES

/** For storage sealed at rest; never part of a backup. */
export function encodePairSetup(setup: PairSetup): Uint8Array {
  return concatBytes(
    u8(VERSION),
    setup.id,
    u8(setup.me),
    u8(setup.peer),
    setup.gadgetSeed,
    setup.zeroSeed,
    setup.leaves,
    setup.delta,
    setup.puncturedLeaves,
  )
}

/**
 * @param gadgets where to keep the setup's gadgets for the next time that it is decoded
 * @throws RangeError for another version, a wrong length, or impossible parties
 */
export function decodePairSetup(bytes: Uint8Array, gadgets?: Gadgets): PairSetup {
  if (bytes.length !== PAIR_SETUP_BYTES)
    throw new RangeError('an encoded OT setup has another length')
  if (bytes[0] !== VERSION) throw new RangeError(`OT setup version ${bytes[0]!} is not known`)
  let at = 1
  const next = (length: number): Uint8Array => Uint8Array.from(bytes.subarray(at, (at += length)))
  return new PairSetup(
    {
      id: next(32),
      me: partyIndex(next(1)[0]!),
      peer: partyIndex(next(1)[0]!),
      gadgetSeed: next(KEY_BYTES),
      zeroSeed: next(KEY_BYTES),
      leaves: next(LEAF_TABLE_BYTES),
      delta: next(DELTA_BYTES),
      puncturedLeaves: next(LEAF_TABLE_BYTES),
    },
    gadgets,
  )
}
