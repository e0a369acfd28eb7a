import { concatBytes, u8 } from '../../bytes.js'
import type { Curve, Point } from '../../curve/curve.js'
import type { PartyIndex } from '../../party.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import { encodeProof, PROOF_BYTES, readProof, type Proof, type ProofContext } from '../schnorr.js'
import { HASH_BYTES, POINT_BYTES, type MessageType } from '../wire.js'

/** What a party committed to: F_0..F_{t-1}, a proof for each, its chain-code share, and the salt. */
export interface Opening {
  readonly F: readonly Point[]
  readonly proofs: readonly Proof[]
  readonly chainCodeShare: Uint8Array
  readonly salt: Uint8Array
}

/** An opening together with the bytes it came as, which are what was committed to. */
export interface Opened extends Opening {
  readonly bytes: Uint8Array
}

const openingBytes = (threshold: number) => threshold * (POINT_BYTES + PROOF_BYTES) + 32 + 32

export function encodeOpening(curve: Curve, opening: Opening): Uint8Array {
  return concatBytes(
    ...opening.F.map((F_k) => curve.encode(F_k)),
    ...opening.proofs.map((proof) => encodeProof(curve, proof)),
    opening.chainCodeShare,
    opening.salt,
  )
}

/** Exactly t coefficients and exactly t proofs: the threshold cannot be raised, nor a proof left out. Step 3.1 */
export function openingOf(threshold: number): MessageType<Opening> {
  return {
    length: openingBytes(threshold),
    read: (fields) => ({
      F: Array.from({ length: threshold }, () => fields.point()),
      proofs: Array.from({ length: threshold }, () => readProof(fields)),
      chainCodeShare: fields.bytes(32),
      salt: fields.bytes(32),
    }),
  }
}

/** com_i ← H(sid, i, opening): one encoding for each opening, so hashing its bytes commits to its values. */
export function commitmentTo(sid: Uint8Array, i: PartyIndex, opening: Uint8Array): Uint8Array {
  return new Transcript(tags.keygenCommitment).add(sid, u8(i), opening).digest(HASH_BYTES)
}

/** What the proof for coefficient k of party i is bound to. */
export function coefficientProof(sid: Uint8Array, i: PartyIndex, k: number): ProofContext {
  return { tag: tags.keygenCoefficientProof, sid, prover: i, items: [u8(k)] }
}
