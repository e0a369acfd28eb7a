import type { Curve, Point, Scalar } from '../curve/curve.js'
import type { PartyIndex } from '../party.js'
import { invertPublic, mod } from './scalar.js'

/** f(x) for coefficients in ascending order of degree. @throws RangeError without coefficients */
export function evaluate(coefficients: readonly Scalar[], x: PartyIndex): Scalar {
  if (coefficients.length === 0) throw new RangeError('a polynomial has at least one coefficient')
  return coefficients.reduceRight((value, a) => mod(value * BigInt(x) + a), 0n)
}

/** F(x) = Σ xᵏ·F_k for public coefficients in the exponent. @throws RangeError without coefficients */
export function evaluateInExponent(
  curve: Curve,
  coefficients: readonly Point[],
  x: PartyIndex,
): Point {
  const [first, ...rest] = coefficients
  if (first === undefined) throw new RangeError('a polynomial has at least one coefficient')
  let power = 1n
  let value = first
  for (const F of rest) {
    power = mod(power * BigInt(x))
    value = curve.add(value, curve.mulPublic(F, power))
  }
  return value
}

/**
 * λ_i with f(0) = Σ λ_i·f(i) over `parties`, for every f of a degree below their number.
 * @throws RangeError when `i` is not among `parties`, or one occurs twice
 */
export function lagrangeAtZero(i: PartyIndex, parties: readonly PartyIndex[]): Scalar {
  if (!parties.includes(i)) throw new RangeError('the party is not among those who interpolate')
  if (new Set(parties).size !== parties.length) throw new RangeError('a party occurs twice')
  let numerator = 1n
  let denominator = 1n
  for (const j of parties) {
    if (j === i) continue
    numerator = mod(numerator * BigInt(j))
    denominator = mod(denominator * BigInt(j - i))
  }
  return mod(numerator * invertPublic(denominator))
}

/** F(0) from the points F(i), in the exponent. @throws RangeError when a party occurs twice, or there is none */
export function interpolateInExponent(curve: Curve, points: ReadonlyMap<PartyIndex, Point>): Point {
  if (points.size === 0) throw new RangeError('nothing to interpolate')
  const parties = [...points.keys()]
  return curve.sum(parties.map((i) => curve.mulPublic(points.get(i)!, lagrangeAtZero(i, parties))))
}
