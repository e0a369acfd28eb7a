import { concatBytes, type KeygenInput, type Scalar } from '@vertex/mpc'
import { sessionCheck } from '../../src/session.js'
import { coefficientProof, commitmentTo, encodeOpening } from '../../src/dkls23/keygen/opening.js'
import { keygenRun } from '../../src/dkls23/keygen/run.js'
import { prove } from '../../src/dkls23/schnorr.js'
import { evaluate } from '../../src/dkls23/shamir.js'
import { encodeScalar, randomScalar } from '../../src/math/scalar.js'
import { seeded } from './seeded.js'
import type { Tamper } from './simulate.js'

/** The session id under which the values of one keygen are computed. */
export const runSid = (input: KeygenInput): Uint8Array => keygenRun(input, seeded('any')).sid

/** The coefficients that a party with this seeded random source will draw. */
export function coefficientsOf(input: KeygenInput, name: string): Scalar[] {
  const stream = keygenRun(input, seeded(name)).hedge.stream('polynomial')
  return Array.from({ length: input.quorum.threshold }, () => randomScalar(stream))
}

/** What a cheater says instead of its honest values; it follows the protocol with all of it, except for `spoil`. */
export interface Forgery {
  /** Its polynomial. */
  readonly a: readonly Scalar[]
  /** Whom it tells this; everyone unless given. */
  readonly to?: number
  readonly chainCodeShare?: Uint8Array
  /** Changes the opening before it is committed to. */
  readonly spoil?: (opening: Uint8Array) => Uint8Array
}

/** A cheater that commits to, opens and shares a polynomial of its choice, with valid proofs. */
export function forgedKeygen(input: KeygenInput, forgery: Forgery): Tamper[] {
  const { curve } = input.suite
  const sid = runSid(input)
  const rng = seeded('forger')
  const F = forgery.a.map((a_k) => curve.mulBase(a_k))
  const honest = encodeOpening(curve, {
    F,
    proofs: forgery.a.map((a_k, k) =>
      prove(curve, coefficientProof(sid, input.me, k), a_k, F[k]!, rng),
    ),
    chainCodeShare: forgery.chainCodeShare ?? new Uint8Array(32).fill(1),
    salt: new Uint8Array(32).fill(2),
  })
  const opening = forgery.spoil?.(honest) ?? honest
  const who = { from: input.me, ...(forgery.to === undefined ? {} : { to: forgery.to }) }
  return [
    {
      ...who,
      round: 1,
      change: () => concatBytes(sessionCheck(sid), commitmentTo(sid, input.me, opening)),
    },
    { ...who, round: 2, change: () => opening },
    { ...who, round: 3, change: (_bytes, _sent, to) => encodeScalar(evaluate(forgery.a, to)) },
  ]
}
