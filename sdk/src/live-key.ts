import {
  bytesToHex,
  decodeKeyShare,
  IdentityKey,
  type KeyShare,
  type SigningParty,
  type Suite,
} from '@vertex/mpc'
import { ShareStoreError, StoreConflictError, StoreCorruptError, VertexError } from './errors.js'
import { decodeRecord, encodeRecord, type KeyRecord, type VertexRecord } from './record.js'
import { Setups } from './setups.js'
import { Slots } from './slots.js'
import type { ShareStore, StoredItem } from './store/share-store.js'

const MAX_CONFLICTS = 20

/**
 * One key in this process. However often it is opened, and through however many clients, there is one of these for
 * each store and id, so that recovery runs once and a retired setup is dead everywhere at once.
 */
export class LiveKey {
  readonly setups: Setups
  /** The recovery under way, by the Vertex's place in the record. */
  readonly recovering = new Map<number, Promise<void>>()
  /** A Vertex lets no more runs at a time touch one share; more would only wait there. */
  readonly runs = new Slots(4)
  #decoded: { bytes: Uint8Array; share: KeyShare } | undefined
  /** The identity of the decoded share. */
  #identity: { share: KeyShare; suite: Suite; key: IdentityKey } | undefined
  /** The record as it was last read from the store; most of the time it still says the same. */
  #read: { bytes: Uint8Array; record: KeyRecord } | undefined

  private constructor(
    readonly store: ShareStore,
    readonly id: string,
  ) {
    this.setups = new Setups(this)
  }

  static of(store: ShareStore, id: string): LiveKey {
    let keys = registry.get(store)
    if (keys === undefined) registry.set(store, (keys = new Map<string, LiveKey>()))
    let key = keys.get(id)
    if (key === undefined) keys.set(id, (key = new LiveKey(store, id)))
    return key
  }

  /** The stored record. @throws VertexError `share_not_found` */
  async record(): Promise<KeyRecord> {
    return (await this.#load()).record
  }

  /** The stored record, if there is one; the same object as long as it says the same. */
  recordIfAny(): Promise<KeyRecord | undefined> {
    return this.store.get('key', this.id).then((item) => item && this.#take(item).record)
  }

  /** Writes the first record of a new key. */
  async create(record: KeyRecord): Promise<void> {
    await this.store.put('key', this.id, encodeRecord(record), 0)
  }

  /** Changes the record; when another writer was faster, the change is made again on what it wrote. */
  async update(change: (record: KeyRecord) => KeyRecord): Promise<KeyRecord> {
    for (let attempt = 1; ; attempt++) {
      const { record, version } = await this.#load()
      const changed = change(record)
      if (changed === record) return record
      const bytes = encodeRecord(changed)
      try {
        await this.store.put('key', this.id, bytes, version)
        return changed
      } catch (error) {
        if (!(error instanceof StoreConflictError) || attempt === MAX_CONFLICTS) throw error
      } finally {
        bytes.fill(0)
      }
    }
  }

  /** Changes what is recorded of one Vertex. */
  updateVertex(at: number, change: (vertex: VertexRecord) => VertexRecord): Promise<KeyRecord> {
    return this.update((record) => ({
      ...record,
      vertices: record.vertices.map((vertex, i) => (i === at ? change(vertex) : vertex)),
    }))
  }

  /** The share in a record, checked once. @throws StoreCorruptError when its parts do not belong together */
  share(suite: Suite, record: KeyRecord): KeyShare {
    const decoded = this.#decoded
    if (decoded !== undefined && equal(decoded.bytes, record.share)) return decoded.share
    let share: KeyShare
    try {
      share = decodeKeyShare(suite, record.share)
    } catch (cause) {
      throw new StoreCorruptError(
        `the stored share of key ${this.id} is not valid: ${String(cause)}`,
      )
    }
    if (bytesToHex(share.publicKey) !== record.publicKey || share.epoch !== record.epoch)
      throw new StoreCorruptError(`the stored share of key ${this.id} is not of its record`)
    this.#decoded = { bytes: record.share.slice(), share }
    return share
  }

  /** The share in a record as it signs, with its identity, which is read once. @throws StoreCorruptError as `share` */
  signer(suite: Suite, record: KeyRecord): SigningParty {
    const share = this.share(suite, record)
    const known = this.#identity
    if (known?.share === share && known.suite === suite) return { share, identity: known.key }
    // The one before is left to the runs that may still use it.
    const key = new IdentityKey(suite.channel, share.identitySecret.reveal())
    this.#identity = { share, suite, key }
    return { share, identity: key }
  }

  /** Deletes everything that this side keeps of the key. */
  async erase(): Promise<void> {
    await this.setups.erase()
    await this.store.delete('key', this.id)
    this.#decoded?.bytes.fill(0)
    this.#decoded = undefined
    this.#identity?.key.forget()
    this.#identity = undefined
    this.#forgetRead()
    registry.get(this.store)?.delete(this.id)
  }

  async #load(): Promise<{ record: KeyRecord; version: number }> {
    const item = await this.store.get('key', this.id)
    if (item === undefined)
      throw new ShareStoreError('share_not_found', `there is no key ${this.id} in this store`)
    return this.#take(item)
  }

  #take({ value, version }: StoredItem): { record: KeyRecord; version: number } {
    if (this.#read !== undefined && equal(this.#read.bytes, value))
      return { record: this.#read.record, version }
    const record = decodeRecord(value)
    if (record.id !== this.id)
      throw new StoreCorruptError(`the record of key ${this.id} is another key's`)
    this.#forgetRead()
    this.#read = { bytes: value.slice(), record }
    return { record, version }
  }

  #forgetRead(): void {
    this.#read?.bytes.fill(0)
    this.#read = undefined
  }
}

const registry = new WeakMap<ShareStore, Map<string, LiveKey>>()

/** Without an early exit, as both hold a secret; in words of four bytes where it can, since this is asked all the time. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  const inWords = (a.byteOffset | b.byteOffset) % 4 === 0
  const words = inWords ? a.length >>> 2 : 0
  let difference = 0
  if (inWords) {
    const [aWords, bWords] = [wordsOf(a, words), wordsOf(b, words)]
    for (let i = 0; i < words; i++) difference |= aWords[i]! ^ bWords[i]!
  }
  for (let i = 4 * words; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

const wordsOf = (bytes: Uint8Array, count: number) =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, count)

/** @throws VertexError for a Vertex that this key does not have */
export function vertexAt(record: KeyRecord, at: number): VertexRecord {
  const vertex = record.vertices[at]
  if (vertex === undefined) throw new VertexError('bad_argument', 'the key has no share there')
  return vertex
}
