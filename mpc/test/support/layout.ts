import { PRODUCT_BYTES } from '../../src/dkls23/sign/multiply.js'
import { VOLE_ANSWER_BYTES, VOLE_MESSAGE_BYTES } from '../../src/vole/index.js'

/** Where the fields of the messages of a signature begin. docs/spec/sign.md, section 6 */

function product(at: number) {
  const Gamma_u = at + VOLE_ANSWER_BYTES
  return {
    answer: at,
    Gamma_u,
    Gamma_v: Gamma_u + 33,
    psi: Gamma_u + 66,
    pk: Gamma_u + 98,
    R: Gamma_u + 131,
    end: at + PRODUCT_BYTES,
  }
}

/** Round 1, and flight 1. */
export const round1 = { check: 0, commitment: 32, vole: 64, end: 64 + VOLE_MESSAGE_BYTES }
/** Round 2. */
export const round2 = { view: 0, ...product(32), salt: 32 + PRODUCT_BYTES }
/** Round 3, and flight 4. */
export const round3 = { u: 0, w: 32 }
/** Flight 2. */
export const flight2 = { vole: 0, ...product(VOLE_MESSAGE_BYTES) }
/** Flight 3. */
export const flight3 = {
  ...product(0),
  salt: PRODUCT_BYTES,
  u: PRODUCT_BYTES + 32,
  w: PRODUCT_BYTES + 64,
}

/** The opening of a keygen, sent in its round 2. */
export const opening = (threshold: number) => ({
  F: (k: number) => 33 * k,
  proof: (k: number) => 33 * threshold + 65 * k,
  chainCodeShare: 98 * threshold,
  salt: 98 * threshold + 32,
  end: 98 * threshold + 64,
})

/** The proof of a keygen, sent in its round 4. */
export const proof = { view: 0, S: 32, K: 65, z: 98, end: 130 }
