import { PairSetup, type PairSetupParts } from '../../src/setup/pair-setup.js'
import { partyIndex } from '../../src/party.js'
import type { Rng } from '../../src/rng.js'

const KEY = 32
export const TREES = 64

/** Whether bit `index` is set, counted from the least significant of the first byte. */
export const bit = (bits: Uint8Array, index: number): number =>
  (bits[index >> 3]! >> (index & 7)) & 1

/** The key of each of 128 pairs that a choice bit names. */
export function chosenKeys(pairs: Uint8Array, choice: Uint8Array): Uint8Array {
  const out = new Uint8Array(128 * KEY)
  for (let i = 0; i < 128; i++) {
    const at = (2 * i + bit(choice, i)) * KEY
    out.set(pairs.subarray(at, at + KEY), i * KEY)
  }
  return out
}

/** Δ_g, the leaf of tree g that is missing. */
export const missingLeaf = (delta: Uint8Array, g: number): number =>
  2 * bit(delta, 2 * g + 1) + bit(delta, 2 * g)

/** The leaves as the other side should know them. */
export function puncture(leaves: Uint8Array, delta: Uint8Array): Uint8Array {
  const out = leaves.slice()
  for (let g = 0; g < TREES; g++) {
    const at = (4 * g + missingLeaf(delta, g)) * KEY
    out.fill(0, at, at + KEY)
  }
  return out
}

/** The two sides of an OT setup between parties 1 and 2, dealt instead of run: for tests of what is built upon it. */
export function dealtSetups(rng: Rng): [PairSetup, PairSetup] {
  const id = rng(32)
  const gadgetSeed = rng(32)
  const zeroSeed = rng(32)
  const leaves = [rng(TREES * 4 * KEY), rng(TREES * 4 * KEY)] as const
  const deltas = [rng(16), rng(16)] as const
  const side = (mine: 0 | 1): PairSetup => {
    const theirs = mine === 0 ? 1 : 0
    return new PairSetup({
      id,
      me: partyIndex(mine + 1),
      peer: partyIndex(theirs + 1),
      gadgetSeed,
      zeroSeed: zeroSeed.slice(),
      leaves: leaves[mine].slice(),
      delta: deltas[mine].slice(),
      puncturedLeaves: puncture(leaves[theirs], deltas[mine]),
    })
  }
  return [side(0), side(1)]
}

/** first, middle and last of `count`. */
export const ends = (count: number): number[] => [0, count >> 1, count - 1]

/** The same setup but for some of its parts. */
export const changedSetup = (setup: PairSetup, change: Partial<PairSetupParts>): PairSetup => {
  const { id, me, peer, gadgetSeed, zeroSeed, leaves, delta, puncturedLeaves } = setup
  return new PairSetup({
    ...{ id, me, peer, gadgetSeed, zeroSeed, leaves, delta, puncturedLeaves },
    ...change,
  })
}
