import type { Curve, Point, Scalar } from '../curve/curve.js'
import type { PartyIndex } from '../party.js'
import { invertPublic, mod } from '../math/scalar.js'

/** f(x) for the polynomial with these coefficients, lowest first. x is a public party index. */
export function evaluate(coefficients: readonly Scalar[], x: number): Scalar {
  return coefficients.reduceRight((sum, a) => mod(sum * BigInt(x) + a), 0n)
}

/** F(x) = Σ_k x^k·F_k, the same in the exponent. Public data only. */
export function evaluateInExponent(curve: Curve, F: readonly Point[], x: number): Point {
  let power = 1n
  const terms = F.map((F_k, k) => {
    if (k > 0) power = mod(power * BigInt(x))
    return k === 0 ? F_k : curve.mulPublic(F_k, power)
  })
  return curve.sum(terms)
}

/** The Lagrange coefficient of party `i` among `parties` for the value at `at`. All indices are public. */
export function lagrange(parties: readonly PartyIndex[], i: PartyIndex, at: number): Scalar {
  let numerator = 1n
  let denominator = 1n
  for (const j of parties) {
    if (j === i) continue
    numerator = mod(numerator * BigInt(at - j))
    denominator = mod(denominator * BigInt(i - j))
  }
  return mod(numerator * invertPublic(denominator))
}

/** The value at `at` of the polynomial through the points (j, P_j). Public data only. */
export function interpolateInExponent(
  curve: Curve,
  points: ReadonlyMap<PartyIndex, Point>,
  at: number,
): Point {
  const parties = [...points.keys()]
  return curve.sum([...points].map(([j, P_j]) => curve.mulPublic(P_j, lagrange(parties, j, at))))
}
