import { derivePublicKey as derive, hexToBytes } from '@vertex/mpc'
import { backUp, verify, type VerifiedBackup } from './backups.js'
import type { Context } from './context.js'
import { withDeadline } from './deadline.js'
import type { Party, SealedBackup } from './directory.js'
import { backupToUse, drill, type DrilledBackup } from './drill.js'
import { RequestError, VertexError } from './errors.js'
import { vertexAt, type LiveKey } from './live-key.js'
import type { Backup, KeyRecord } from './record.js'
import { proveIdentity } from './recovery.js'
import { exportSealed, toParty, type SealTo } from './sealed-export.js'
import {
  checkPath,
  joinSign,
  sign,
  type Clients,
  type SignOptions,
  type SignRequest,
  type Signature,
  type ToSign,
} from './signing.js'
import type { VertexClient } from './vertex-client.js'

/** Which Vertex of the key is meant; the client's own if absent. */
export interface AtVertex {
  readonly vertex?: string
  readonly signal?: AbortSignal
}

/** A threshold ECDSA key of which this party holds a share. */
export class EcdsaKey {
  readonly #context: Context
  readonly #clients: Clients
  readonly #live: LiveKey
  #record: KeyRecord

  /** Made by `createKey` and `openKey` only. */
  constructor(context: Context, clients: Clients, live: LiveKey, record: KeyRecord) {
    this.#context = context
    this.#clients = clients
    this.#live = live
    this.#record = record
  }

  /** This SDK's name for the key: stable for ever, whatever happens to the server. */
  get id(): string {
    return this.#live.id
  }

  /** The server's handle of its share as last seen; a recovery changes it. */
  get keyId(): string {
    return vertexAt(this.#record, this.#own).keyId
  }

  /** The place of the client's own Vertex in the record. */
  get #own(): number {
    return this.#clients.indexOf(this.#context.main)
  }

  /** 33 bytes, compressed. */
  get publicKey(): Uint8Array {
    return hexToBytes(this.#record.publicKey)
  }

  get threshold(): number {
    return this.#record.threshold
  }

  get parties(): number {
    return this.#record.parties
  }

  get epoch(): number {
    return this.#record.epoch
  }

  /** Where the other shares are. */
  get vertices(): readonly { readonly url: string; readonly keyId: string }[] {
    return this.#record.vertices.map(({ url, keyId }) => ({ url, keyId }))
  }

  /**
   * Signs together with the Vertex. A share that it has lost is recovered from the stored backup on the way, within
   * the same deadline; a failed check is never tried again.
   * @throws VertexError and its subclasses
   */
  async sign(request: SignRequest): Promise<Signature> {
    const [signature] = await this.signBatch([request], request)
    return signature!
  }

  /**
   * Signs many messages, up to 32 in one run, which costs far less than signing each by itself; longer lists are
   * signed in several runs, one after the other. Recovers a lost share as `sign` does. All or none: when a run fails,
   * no signature is returned, also of runs before it.
   * @returns the signatures in the order of the messages
   * @throws VertexError and its subclasses
   */
  async signBatch(messages: readonly ToSign[], options: SignOptions = {}): Promise<Signature[]> {
    const { vertices, signal, deadlineMs = this.#context.deadlineMs } = options
    try {
      return await withDeadline(deadlineMs, signal, (deadline) =>
        sign(this.#context, this.#clients, this.#live, messages, vertices, deadline),
      )
    } finally {
      await this.#refresh()
    }
  }

  /**
   * Runs this party's side of a signature in a room that the app has opened with `rest.createRoom`, while the app sends
   * the Vertex its `rest.sign`. For apps that do it all by hand: nothing is recovered.
   */
  joinSign(roomUuid: string, request: SignRequest): Promise<Signature> {
    const deadlineMs = request.deadlineMs ?? this.#context.deadlineMs
    return withDeadline(deadlineMs, request.signal, (deadline) =>
      joinSign(this.#context, this.#live, roomUuid, request, deadline),
    )
  }

  /** The public key at a non-hardened BIP-32 path, 33 bytes; computed here, no server is asked. */
  derivePublicKey(path: readonly number[]): Uint8Array {
    checkPath(path)
    const { suite } = this.#context
    const share = this.#live.share(suite, this.#record)
    return derive(suite.curve, share.publicKey, share.chainCode, path).publicKey
  }

  /**
   * Takes a fresh backup of the server's share, has it verified, stores it for recovery, and hands it out. One in the
   * clear is not stored: keep it where this party's share is not.
   * @throws IdentityError when the Vertex does not prove the pinned vault identity; the stored backup then stays
   */
  async exportBackup(options: AtVertex = {}): Promise<Backup> {
    const { at, client } = this.#vertex(options.vertex)
    const backup = await withDeadline(this.#context.deadlineMs, options.signal, ({ signal }) =>
      backUp(this.#context, client, this.#live, at, signal),
    )
    await this.#refresh()
    return backup
  }

  /**
   * Takes a backup of the server's share that only a party of the directory can open. `vertex.directory.sealBackupTo`
   * looks the party up and calls this. Nothing of it is stored.
   * @param to whose sigchain was checked, or what a key of a name is known by
   * @throws IdentityError, BackupError when the Vertex gives another one than was asked for
   */
  async exportSealed(to: Party | SealTo, options: AtVertex = {}): Promise<SealedBackup> {
    const { at, client } = this.#vertex(options.vertex)
    return withDeadline(this.#context.deadlineMs, options.signal, ({ signal }) =>
      exportSealed(client, this.#live, at, 'recipient' in to ? to : toParty(to), signal),
    )
  }

  /**
   * Has a backup checked by the Vertex as an import would: the stored one, or the one given. Changes nothing.
   * @throws BackupError
   * @throws IdentityError when the Vertex could not call for the stored one, as it does not prove the pinned identity
   */
  async verifyBackup(
    options: AtVertex & { readonly backup?: Backup } = {},
  ): Promise<VerifiedBackup> {
    const { at, client } = this.#vertex(options.vertex)
    const record = await this.#live.record()
    const vertex = vertexAt(record, at)
    const backup = backupToUse(vertex.backup, options.backup)
    return withDeadline(this.#context.deadlineMs, options.signal, async ({ signal }) => {
      if (options.backup === undefined)
        await proveIdentity(this.#context, client, this.#live, vertex, signal)
      return verify(client, record, backup, signal)
    })
  }

  /**
   * A recovery drill: the share in the stored backup, or in the one given, signs once together with this party's, at the
   * Vertex and in memory only. It shows that the backup would bring the key back. Neither side keeps anything of it but
   * the Vertex when it was; the signed report is the app's to keep.
   * @throws BackupError for a backup that no import would take; `KeyNotFoundError` where the Vertex has lost the share:
   * then a signature brings it back
   * @throws IdentityError when the Vertex does not prove the pinned identity, or the report is not by it
   */
  async drillBackup(
    options: AtVertex & { readonly backup?: Backup; readonly deadlineMs?: number } = {},
  ): Promise<DrilledBackup> {
    const { at, client } = this.#vertex(options.vertex)
    const { signal, deadlineMs = this.#context.deadlineMs } = options
    const backup = backupToUse(vertexAt(await this.#live.record(), at).backup, options.backup)
    return withDeadline(deadlineMs, signal, (deadline) =>
      this.#live.runs.within(deadline.signal, () =>
        drill(this.#context, client, this.#live, at, backup, deadline),
      ),
    )
  }

  /** Deletes the handles at all Vertices, then this party's share with its backups. Not to be undone. */
  async delete(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const record = await this.#live.record()
    await withDeadline(this.#context.deadlineMs, options.signal, async ({ signal }) => {
      for (const [at, { keyId, url }] of record.vertices.entries()) {
        const client = this.#clients[at]
        if (client === undefined)
          throw new RequestError('bad_argument', `deleting the share at ${url} needs access to it`)
        try {
          await client.answers.deleteKeyShare(keyId, { signal })
        } catch (error) {
          if (!(error instanceof VertexError) || error.errType !== 'key_id_not_exists') throw error
        }
      }
    })
    await this.#live.erase()
  }

  toJSON() {
    return { id: this.id, keyId: this.keyId, publicKey: this.#record.publicKey }
  }

  async #refresh(): Promise<void> {
    this.#record = await this.#live.record().catch(() => this.#record)
  }

  #vertex(url: string | undefined): { at: number; client: VertexClient } {
    const wanted = url?.replace(/\/+$/, '')
    const at = wanted === undefined ? this.#own : this.#clients.findIndex((c) => c?.url === wanted)
    const client = this.#clients[at]
    if (client === undefined)
      throw new RequestError('bad_argument', `the key has no share at ${url ?? 'this Vertex'}`)
    return { at, client }
  }
}
