// Which events of another server were applied. docs/spec/share-replication.md, section 5.

/** Numbers from `first` to `last`, both of them. */
export interface Range {
  readonly first: bigint
  readonly last: bigint
}

/** What was applied of one server's events. */
export interface Applied {
  readonly epoch: bigint
  /** In order, with at least one number missing between two of them. */
  readonly ranges: readonly Range[]
}

/** So many ranges are kept of one server. */
export const MOST_RANGES = 256

/** Of a server that nothing was ever applied of. */
export const nothingApplied: Applied = { epoch: 0n, ranges: [] }

/**
 * 5.1 to 5.4
 * @returns what has been applied once this event is; undefined for one that is not to be applied
 */
export function take(before: Applied, epoch: bigint, sequence: bigint): Applied | undefined {
  if (epoch < before.epoch || sequence === 0n) return undefined
  const ranges = epoch > before.epoch ? [] : before.ranges
  const at = ranges.findIndex(({ last }) => last >= sequence)
  if (at !== -1 && ranges[at]!.first <= sequence) return undefined
  const place = at === -1 ? ranges.length : at
  const joined = join([
    ...ranges.slice(0, place),
    { first: sequence, last: sequence },
    ...ranges.slice(place),
  ])
  if (joined.length <= MOST_RANGES) return { epoch, ranges: joined }
  // What is missing between the two lowest is given up.
  const [lowest, next, ...others] = joined
  return { epoch, ranges: [{ first: lowest!.first, last: next!.last }, ...others] }
}

/** One range of two where no number is missing between them. */
function join(ranges: readonly Range[]): Range[] {
  const joined: Range[] = []
  for (const range of ranges) {
    const last = joined.at(-1)
    if (last !== undefined && last.last + 1n === range.first)
      joined.splice(-1, 1, { first: last.first, last: range.last })
    else joined.push(range)
  }
  return joined
}

/** How many numbers are missing between those that were applied. */
export const missing = ({ ranges }: Applied): bigint =>
  ranges.reduce((sum, { first }, i) => sum + (i === 0 ? 0n : first - ranges[i - 1]!.last - 1n), 0n)

/** The highest number that was applied; 0 for none. */
export const highest = ({ ranges }: Applied): bigint => ranges.at(-1)?.last ?? 0n

/** As `1-40,42-42`. */
export const showRanges = (ranges: readonly Range[]): string =>
  ranges.map(({ first, last }) => `${first}-${last}`).join(',')

/** What {@link showRanges} wrote. */
export const readRanges = (text: string): Range[] =>
  text === ''
    ? []
    : text.split(',').map((range) => {
        const [first, last] = range.split('-').map(BigInt)
        return { first: first!, last: last! }
      })
