import { concatBytes, u8 } from '../bytes.js'
import type { Kernel } from '../kernel/kernel.js'
import { xorInto } from '../math/gf128.js'
import { tags } from '../tags.js'
import { bitOf, equalMask } from './bits.js'
import { KEY_BYTES, LEAF_TABLE_BYTES, LEAVES, TREES } from './parameters.js'
import { sessionKey } from './session-key.js'

/** For each tree: t_0, t_1, the sum of the leaf proofs and their digest. */
export const PPRF_MESSAGE_BYTES = TREES * 4 * KEY_BYTES

/** The all-but-one proof does not hold: the sender's trees are inconsistent with its base OT keys. */
export class PprfCheckFailed extends Error {
  override readonly name = 'PprfCheckFailed'
}

/** key i of a flat table. */
const at = (table: Uint8Array, i: number): Uint8Array =>
  table.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES)

interface Keys {
  readonly node: Uint8Array
  readonly leaf: Uint8Array
  readonly proof: Uint8Array
}

const keysOf = (kernel: Kernel, sid: Uint8Array): Keys => ({
  node: sessionKey(kernel, sid, tags.pprfNode),
  leaf: sessionKey(kernel, sid, tags.pprfLeaf),
  proof: sessionKey(kernel, sid, tags.pprfProof),
})

/** The two children of node y of tree g, one after the other. */
const children = (kernel: Kernel, keys: Keys, g: number, y: number, node: Uint8Array): Uint8Array =>
  kernel.hash(keys.node, concatBytes(u8(g), u8(y), node), 2 * KEY_BYTES)

/** The leaf key of position y, then its proof. */
const finishLeaf = (
  kernel: Kernel,
  keys: Keys,
  g: number,
  y: number,
  node: Uint8Array,
): Uint8Array => kernel.hash(keys.leaf, concatBytes(u8(g), u8(y), node), 2 * KEY_BYTES)

const proofDigest = (kernel: Kernel, keys: Keys, g: number, proofs: Uint8Array): Uint8Array =>
  kernel.hash(keys.proof, concatBytes(u8(g), proofs), KEY_BYTES)

/**
 * Grows the trees from the base OT keys (128 pairs, instance 2g+1 for the first level of tree g, 2g for the second)
 * and says what the other side needs for all leaves but one. docs/spec/ot.md, step 2.1.
 * @returns the message, and all leaf keys: leaf y of tree g at 32·(4g + y)
 */
export function sendPprf(
  kernel: Kernel,
  sid: Uint8Array,
  baseKeys: Uint8Array,
): { message: Uint8Array; leaves: Uint8Array } {
  const keys = keysOf(kernel, sid)
  const message = new Uint8Array(PPRF_MESSAGE_BYTES)
  const leaves = new Uint8Array(LEAF_TABLE_BYTES)
  const nodes = new Uint8Array(LEAVES * KEY_BYTES)
  const proofs = new Uint8Array(LEAVES * KEY_BYTES)
  for (let g = 0; g < TREES; g++) {
    const out = message.subarray(g * 4 * KEY_BYTES, (g + 1) * 4 * KEY_BYTES)
    for (let y = 0; y < 2; y++) {
      const root = at(baseKeys, 2 * (2 * g + 1) + y) // 2.1.1
      nodes.set(children(kernel, keys, g, y, root), 2 * y * KEY_BYTES) // 2.1.2
    }
    for (let x = 0; x < 2; x++) {
      const t = at(out, x) // 2.1.3  t_x ← key_x + Σ_y node_{2y+x}
      t.set(at(baseKeys, 2 * (2 * g) + x))
      xorInto(t, at(nodes, x))
      xorInto(t, at(nodes, 2 + x))
    }
    for (let y = 0; y < LEAVES; y++) {
      const both = finishLeaf(kernel, keys, g, y, at(nodes, y)) // 2.1.4
      leaves.set(both.subarray(0, KEY_BYTES), (LEAVES * g + y) * KEY_BYTES)
      proofs.set(both.subarray(KEY_BYTES), y * KEY_BYTES)
      xorInto(at(out, 2), both.subarray(KEY_BYTES)) // 2.1.5  the sum of the proofs
      both.fill(0)
    }
    at(out, 3).set(proofDigest(kernel, keys, g, proofs)) // 2.1.5
  }
  nodes.fill(0)
  proofs.fill(0)
  return { message, leaves }
}

/**
 * Rebuilds all leaves but leaf Δ_g of each tree g (Δ_g = bits 2g, 2g+1 of delta), and checks the proof. The missing
 * leaf's place holds zeros. `baseKeys` are the 128 keys chosen by the complement of Δ. docs/spec/ot.md, step 2.2.
 * @throws PprfCheckFailed after all trees have been looked at
 */
export function receivePprf(
  kernel: Kernel,
  sid: Uint8Array,
  delta: Uint8Array,
  baseKeys: Uint8Array,
  message: Uint8Array,
): Uint8Array {
  const keys = keysOf(kernel, sid)
  const leaves = new Uint8Array(LEAF_TABLE_BYTES)
  const nodes = new Uint8Array(LEAVES * KEY_BYTES)
  const proofs = new Uint8Array(LEAVES * KEY_BYTES)
  let difference = 0
  for (let g = 0; g < TREES; g++) {
    const from = message.subarray(g * 4 * KEY_BYTES, (g + 1) * 4 * KEY_BYTES)
    const low = bitOf(delta, 2 * g)
    const high = bitOf(delta, 2 * g + 1)
    const known = 1 - high // 2.2.1  the root's child that was chosen
    const own = children(kernel, keys, g, known, at(baseKeys, 2 * g + 1)) // 2.2.2
    const sibling = new Uint8Array(KEY_BYTES) // 2.2.3  key_x + t_x + node_{2·known+x}, for x = 1 − low
    sibling.set(at(baseKeys, 2 * g))
    for (let x = 0; x < 2; x++) {
      const mask = equalMask(x, 1 - low)
      const t = at(from, x)
      const child = at(own, x)
      for (let k = 0; k < KEY_BYTES; k++) sibling[k]! ^= mask & (t[k]! ^ child[k]!)
    }
    // 2.2.4  Every place is written for every Δ; masks say what arrives there.
    for (let y = 0; y < LEAVES; y++) {
      const isOwn = equalMask(y >> 1, known)
      const isSibling = equalMask(y, 2 * high + 1 - low)
      const node = at(nodes, y)
      const child = at(own, y & 1)
      for (let k = 0; k < KEY_BYTES; k++) node[k] = (isOwn & child[k]!) | (isSibling & sibling[k]!)
    }
    const missing = Uint8Array.from(at(from, 2)) // 2.2.6  the missing proof: the sum less the three known ones
    for (let y = 0; y < LEAVES; y++) {
      const present = 0xff ^ equalMask(y, 2 * high + low)
      const both = finishLeaf(kernel, keys, g, y, at(nodes, y)) // 2.2.5
      for (let k = 0; k < KEY_BYTES; k++) {
        leaves[(LEAVES * g + y) * KEY_BYTES + k] = present & both[k]!
        const proof = present & both[KEY_BYTES + k]!
        proofs[y * KEY_BYTES + k] = proof
        missing[k]! ^= proof
      }
      both.fill(0)
    }
    for (let y = 0; y < LEAVES; y++) {
      const absent = equalMask(y, 2 * high + low)
      const proof = at(proofs, y)
      for (let k = 0; k < KEY_BYTES; k++) proof[k]! ^= absent & missing[k]!
    }
    const digest = proofDigest(kernel, keys, g, proofs) // 2.2.7
    const expected = at(from, 3)
    for (let k = 0; k < KEY_BYTES; k++) difference |= digest[k]! ^ expected[k]!
    own.fill(0)
    sibling.fill(0)
    missing.fill(0)
  }
  nodes.fill(0)
  proofs.fill(0)
  if (difference !== 0) {
    leaves.fill(0)
    throw new PprfCheckFailed('the proof of an all-but-one tree does not hold') // 2.2.7
  }
  return leaves
}
