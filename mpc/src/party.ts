/** A party's evaluation point: the 1-based rank of its keygen_id among all parties' keygen_ids. */
export type PartyIndex = number & { readonly __partyIndex: unique symbol }

/** The most parties a key may have. */
export const MAX_PARTIES = 32

/** @throws RangeError unless 1 ≤ value ≤ {@link MAX_PARTIES} */
export function partyIndex(value: number): PartyIndex {
  if (!Number.isInteger(value) || value < 1 || value > MAX_PARTIES)
    throw new RangeError(`a party index is 1 to ${MAX_PARTIES}, not ${value}`)
  return value as PartyIndex
}

/** How many parties there are, and how many of them must sign. 2 ≤ threshold ≤ parties. */
export interface Quorum {
  readonly threshold: number
  readonly parties: number
}

/** @throws RangeError unless 2 ≤ threshold ≤ parties ≤ {@link MAX_PARTIES} */
export function quorum(threshold: number, parties: number): Quorum {
  const whole = Number.isInteger(threshold) && Number.isInteger(parties)
  if (!whole || threshold < 2 || parties < threshold || parties > MAX_PARTIES)
    throw new RangeError(`a quorum needs 2 ≤ threshold ≤ parties ≤ ${MAX_PARTIES}`)
  return { threshold, parties }
}
