/**
 * What a store keeps. `key`: a key's record with this party's share; losing it loses a 2-of-2 key.
 * `setup`: a cached OT setup; losing it costs one slower signature. Setups are kept apart and never exported.
 */
export type ItemKind = 'key' | 'setup'

export interface StoredItem {
  readonly value: Uint8Array
  /** Goes up with every write of this item; the first write makes 1. */
  readonly version: number
}

/**
 * Where the SDK keeps its shares. An own implementation must guarantee that
 * - when `put` or `delete` resolves, the change survives a crash of the process and of the machine,
 * - `put` compares and swaps: of two writers that name the same `expected` version exactly one wins,
 * - nobody but the app can read the values: they hold secret shares in the clear,
 * - a value is given back byte for byte.
 * Ids consist of 1 to 128 of the characters `a-z 0-9 - _ .` and begin with a letter or digit.
 */
export interface ShareStore {
  get(kind: ItemKind, id: string): Promise<StoredItem | undefined>
  /**
   * Writes an item.
   * @param expected the version this write replaces; 0 when there must be none
   * @returns the new version
   * @throws StoreConflictError when the item's version is another one
   */
  put(kind: ItemKind, id: string, value: Uint8Array, expected: number): Promise<number>
  /** All ids of a kind, in ascending order. */
  list(kind: ItemKind): Promise<readonly string[]>
  /** Deletes an item if it is there. */
  delete(kind: ItemKind, id: string): Promise<void>
}

/** @throws RangeError for an id that no store has to take */
export function checkId(id: string): string {
  if (!/^[a-z0-9][a-z0-9._-]{0,127}$/.test(id))
    throw new RangeError('this is not an id of a stored item')
  return id
}
