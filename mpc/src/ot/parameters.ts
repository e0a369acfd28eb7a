/** λ_c: base OTs in each direction, bits of Δ. */
export const BASE_OTS = 128
/** k of SoftSpoken: base OTs that make one tree. */
export const TREE_DEPTH = 2
/** Leaves of one tree: 2ᵏ. */
export const LEAVES = 1 << TREE_DEPTH
/** Trees of one direction. */
export const TREES = BASE_OTS / TREE_DEPTH
/** Bytes of a base OT key, of a leaf and of a leaf proof. */
export const KEY_BYTES = 32
/** ξ = κ + 2λ_s = 256 + 160: choice bits of one multiplication. */
export const XI = 416
/** Bytes of the mask block that blinds the OT check, and of a GF(2¹²⁸) element. */
export const MASK_BYTES = 16
/** Bytes of Δ. */
export const DELTA_BYTES = BASE_OTS / 8
/** All leaves of one direction. */
export const LEAF_TABLE_BYTES = TREES * LEAVES * KEY_BYTES
