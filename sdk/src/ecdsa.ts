import { checkVerified } from './backups.js'
import type { Context } from './context.js'
import { withDeadline } from './deadline.js'
import { RequestError } from './errors.js'
import { EcdsaKey } from './key.js'
import { finishKey, makeKey } from './key-making.js'
import { LiveKey } from './live-key.js'
import { decodeRecord, type Backup } from './record.js'
import { adopt } from './recovery.js'
import type { VertexClient } from './vertex-client.js'

/** A further Vertex that holds a share. */
export interface VertexAccess {
  readonly url: string
  readonly apiKey: string
}

export interface CreateKeyOptions {
  /** How many parties hold a share: this one, the client's Vertex, and each of `vertices`. */
  readonly parties?: number
  /** How many of them must sign; 2 if absent. */
  readonly threshold?: number
  /** Further Vertices. They must allow the relay of the client's own (VERTEX_RELAY_ALLOW). */
  readonly vertices?: readonly VertexAccess[]
  readonly signal?: AbortSignal
  readonly deadlineMs?: number
}

export interface OpenKeyOptions {
  /** Access to the further Vertices of the key, as far as they shall sign. */
  readonly vertices?: readonly VertexAccess[]
  readonly signal?: AbortSignal
}

/** Where an imported backup went. */
export interface ImportedBackup {
  /** The Vertex's handle of the share now. */
  readonly keyId: string
  /** The key it belongs to, if this store has it; it signs with the new handle from now on. */
  readonly key: EcdsaKey | undefined
}

/** Threshold ECDSA on secp256k1. */
export class Ecdsa {
  readonly #context: Context
  readonly #clientOf: (access: VertexAccess) => VertexClient

  constructor(context: Context, clientOf: (access: VertexAccess) => VertexClient) {
    this.#context = context
    this.#clientOf = clientOf
  }

  /**
   * Makes a key. This party's share is in the store before its last message of keygen leaves; when this resolves, a
   * backup of each Vertex's share has been exported, verified and stored too.
   * @throws VertexError; a key whose share was stored already is then still listed, and `openKey` finishes it
   */
  async createKey(options: CreateKeyOptions = {}): Promise<EcdsaKey> {
    const clients = [this.#context.main, ...(options.vertices ?? []).map(this.#clientOf)]
    if (new Set(clients.map(({ url }) => url)).size !== clients.length)
      throw new RequestError('bad_argument', 'every Vertex of a key is another one')
    if (options.parties !== undefined && options.parties !== clients.length + 1)
      throw new RequestError(
        'bad_argument',
        `${options.parties} parties need ${options.parties - 2} further vertices`,
      )
    const deadlineMs = options.deadlineMs ?? this.#context.deadlineMs
    const live = await withDeadline(deadlineMs, options.signal, (deadline) =>
      makeKey(this.#context, clients, options.threshold ?? 2, deadline),
    )
    return new EcdsaKey(this.#context, clients, live, await live.record())
  }

  /**
   * Opens a key of the store. One whose `createKey` did not come to its end is finished first.
   * @throws VertexError `share_not_found`, or `keygen_unfinished`
   */
  async openKey(id: string, options: OpenKeyOptions = {}): Promise<EcdsaKey> {
    const live = LiveKey.of(this.#context.store, id)
    const record = await live.record()
    const others = (options.vertices ?? []).map(this.#clientOf)
    const { main } = this.#context
    // A client at an address that the record does not know is the first Vertex's, which has moved.
    const own = Math.max(
      record.vertices.findIndex(({ url }) => url === main.url),
      0,
    )
    const clients = record.vertices.map((vertex, at) =>
      at === own ? main : others.find(({ url }) => url === vertex.url),
    )
    live.share(this.#context.suite, record)
    if (record.state !== 'ready')
      await withDeadline(this.#context.deadlineMs, options.signal, (deadline) =>
        finishKey(this.#context, clients, live, deadline),
      )
    return new EcdsaKey(this.#context, clients, live, await live.record())
  }

  /** The ids of all keys in the store. */
  listKeys(): Promise<readonly string[]> {
    return this.#context.store.list('key')
  }

  /**
   * Puts a backup into this client's Vertex by hand: the way back where recovery does not happen by itself. If the
   * store holds the key it belongs to, that key uses the new handle from now on, in the place of the Vertex whose share
   * it is. One that does not fit the key of the store is not imported.
   * @throws BackupError
   */
  async importBackup(backup: Backup, options: OpenKeyOptions = {}): Promise<ImportedBackup> {
    const context = this.#context
    const { main } = context
    return withDeadline(context.deadlineMs, options.signal, async ({ signal }) => {
      const verified = await main.answers.verifyKeyShare(backup, { signal })
      const found = await this.#findByPublicKey(verified.publicKey)
      if (found !== undefined) checkVerified(await found.record(), verified)
      const keyId = await main.answers.importKeyShare(backup, { signal })
      if (found === undefined) return { keyId, key: undefined }
      const { keygenId } = await main.answers.getKey(keyId, { signal })
      const { vertices } = await found.record()
      const at = vertices.findIndex((vertex) => vertex.keygenId === keygenId)
      await adopt(context, main, found, at, keyId, undefined, signal)
      return { keyId, key: await this.openKey(found.id, { ...options, signal }) }
    })
  }

  async #findByPublicKey(publicKey: string): Promise<LiveKey | undefined> {
    const { store } = this.#context
    for (const id of await store.list('key')) {
      const item = await store.get('key', id)
      if (item !== undefined && decodeRecord(item.value).publicKey === publicKey)
        return LiveKey.of(store, id)
    }
    return undefined
  }
}
