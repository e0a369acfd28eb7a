import { StoreConflictError } from '../errors.js'
import { checkId, type ItemKind, type ShareStore, type StoredItem } from './share-store.js'

/** Keeps everything in memory: for tests and for trying things out. What it holds ends with the process. */
export class MemoryShareStore implements ShareStore {
  readonly #items = { key: new Map<string, StoredItem>(), setup: new Map<string, StoredItem>() }

  get(kind: ItemKind, id: string): Promise<StoredItem | undefined> {
    const item = this.#items[kind].get(checkId(id))
    return Promise.resolve(item && { value: item.value.slice(), version: item.version })
  }

  put(kind: ItemKind, id: string, value: Uint8Array, expected: number): Promise<number> {
    const items = this.#items[kind]
    const version = items.get(checkId(id))?.version ?? 0
    if (version !== expected)
      return Promise.reject(
        new StoreConflictError(`the item is at version ${version}, not at ${expected}`),
      )
    items.set(id, { value: value.slice(), version: version + 1 })
    return Promise.resolve(version + 1)
  }

  list(kind: ItemKind): Promise<readonly string[]> {
    return Promise.resolve([...this.#items[kind].keys()].sort())
  }

  delete(kind: ItemKind, id: string): Promise<void> {
    this.#items[kind].get(checkId(id))?.value.fill(0)
    this.#items[kind].delete(id)
    return Promise.resolve()
  }
}
