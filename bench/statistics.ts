/** @throws RangeError when there are no samples */
export function median(samples: readonly number[]): number {
  if (samples.length === 0) throw new RangeError('no samples')
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** @throws RangeError when there are no samples */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) throw new RangeError('no samples')
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!
}

/**
 * How fast y grows with x: the median of the slopes between all pairs of points (Theil and Sen), which a few wild
 * samples cannot move.
 * @throws RangeError when there are fewer than two different x
 */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const slopes: number[] = []
  for (const [i, a] of points.entries())
    for (const b of points.slice(i + 1)) if (a.x !== b.x) slopes.push((b.y - a.y) / (b.x - a.x))
  return median(slopes)
}

/** To the digits that a measurement deserves; counts stay as they are. */
export const round = (value: number): number =>
  Number.isInteger(value) ? value : Number(value.toPrecision(4))
