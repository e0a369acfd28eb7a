import {
  bytesToHex,
  decodeKeyShare,
  derivePublicKey,
  InvalidPath,
  NoSuchChild,
  wipe,
  type KeyShare,
  type Suite,
} from '@vertex/mpc'
import { deletedMeanwhile, VaultError } from './errors.js'
import type { Caller, IdentityContext, KeyInfo } from './facade.js'
import { badRequest, parseUuid } from './ids.js'
import type { VaultLog } from './log.js'
import type { NotExists } from './not-exists.js'
import type { Clock, KeyRecord, PendingKeyRecord, ShareRecord } from './ports.js'
import { keygenSubject, type Runs } from './runs.js'
import type { Mark, Trail } from './trail.js'
import type { Units } from './units.js'

/** A key of the caller: before keygen, or with its share. */
export type FoundKey =
  | { readonly state: 'created'; readonly pending: PendingKeyRecord }
  | { readonly state: 'ready'; readonly key: KeyRecord }

/** The most indices a derivation path has (BIP-32 counts depth in one byte). */
const PATH_LENGTH = 255
const HARDENED = 0x80000000

/** Finds a caller's keys, tells what may be told of them, and forgets them. */
export class Keys {
  constructor(
    private readonly units: Units,
    private readonly suite: Suite,
    private readonly notExists: NotExists,
    private readonly runs: Runs,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    private readonly trail: Trail,
  ) {}

  /** @throws VaultError `key_id_not_exists`, `bad_request_params` */
  async find(caller: Caller, wanted: string, context: IdentityContext = {}): Promise<FoundKey> {
    const keyId = parseUuid('key_id', wanted)
    const found = await this.units.run(async (uow): Promise<FoundKey | undefined> => {
      const key = await uow.handles.find(caller.userId, keyId)
      if (key !== undefined) return { state: 'ready', key }
      const pending = await uow.pendingKeys.find(caller.userId, keyId)
      if (pending === undefined) return undefined
      wipe(pending.identitySecret)
      return { state: 'created', pending }
    })
    if (found === undefined) throw await this.notExists.error(caller, keyId, context)
    return found
  }

  /** As {@link find}. @throws VaultError also `key_operation_before_keygen` */
  async findReady(
    caller: Caller,
    wanted: string,
    context: IdentityContext = {},
  ): Promise<KeyRecord> {
    const found = await this.find(caller, wanted, context)
    if (found.state === 'ready') return found.key
    throw new VaultError(
      'key_operation_before_keygen',
      'this key has no share yet: do keygen first',
    )
  }

  /**
   * The share as it is kept, encoded. The caller wipes it.
   * @throws VaultError `key_id_not_exists` when it was deleted meanwhile
   */
  async openRecord(
    { share, handle }: KeyRecord,
    caller: Caller,
    context: IdentityContext,
  ): Promise<Uint8Array> {
    const record = await this.units.run((uow) => uow.shares.open(share.userId, share.shareId))
    if (record === undefined) throw await this.notExists.error(caller, handle.keyId, context)
    return record
  }

  /** The share itself, checked. */
  async #open(key: KeyRecord, caller: Caller, context: IdentityContext): Promise<KeyShare> {
    const record = await this.openRecord(key, caller, context)
    try {
      return decodeKeyShare(this.suite, record)
    } finally {
      wipe(record)
    }
  }

  async info(caller: Caller, wanted: string, context: IdentityContext = {}): Promise<KeyInfo> {
    const found = await this.find(caller, wanted, context)
    if (found.state === 'created') return pendingInfo(found.pending)
    const { chainCode } = await this.#open(found.key, caller, context)
    return { ...readyInfo(found.key), chainCode: bytesToHex(chainCode) }
  }

  /** All keys of the caller, oldest first. Without chain codes: no share is opened for a list. */
  async list(caller: Caller): Promise<KeyInfo[]> {
    const { pending, ready } = await this.units.run(async (uow) => ({
      pending: await uow.pendingKeys.listForUser(caller.userId),
      ready: await uow.handles.listForUser(caller.userId),
    }))
    const all = [...pending.map(pendingInfo), ...ready.map(readyInfo)]
    return all.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
  }

  async exportId(caller: Caller, keyId: string, context: IdentityContext = {}) {
    const found = await this.find(caller, keyId, context)
    const { keygenId } = found.state === 'created' ? found.pending : found.key.share
    return { keygenId: bytesToHex(keygenId) }
  }

  async derivePubkey(
    caller: Caller,
    request: { keyId: string; derivationPath: readonly number[] },
    context: IdentityContext = {},
  ): Promise<{ pubkey: string }> {
    const path = parsePath(request.derivationPath)
    const key = await this.findReady(caller, request.keyId, context)
    const { publicKey, chainCode } = await this.#open(key, caller, context)
    try {
      const derived = derivePublicKey(this.suite.curve, publicKey, chainCode, path)
      return { pubkey: bytesToHex(derived.publicKey) }
    } catch (e) {
      if (e instanceof NoSuchChild || e instanceof InvalidPath) throw badRequest(e.message)
      throw e
    }
  }

  /** Removes the handle; with the last one the share is erased for ever, and every run on it ends. */
  async delete(caller: Caller, wanted: string, context: IdentityContext = {}): Promise<void> {
    const keyId = parseUuid('key_id', wanted)
    // What is not there is not deleted, and no loop over such can fill the audit log.
    await this.find(caller, keyId, context)
    await this.trail.around({ action: 'delete_key', caller, values: { key_id: keyId } }, (mark) =>
      this.#delete(caller, keyId, context, mark),
    )
  }

  async #delete(
    caller: Caller,
    keyId: string,
    context: IdentityContext,
    mark: Mark,
  ): Promise<void> {
    const { userId } = caller
    const gone = await this.units.run(async (uow) => {
      if (await uow.pendingKeys.delete(userId, keyId)) return { erased: undefined }
      const deleted = await uow.handles.delete(userId, keyId)
      if (deleted === undefined) return undefined
      mark.publicKey = deleted.share.publicKey
      if (deleted.remaining > 0) return { erased: undefined }
      await uow.shares.erase(userId, deleted.share.shareId, this.clock.now())
      return { erased: deleted.share.shareId }
    })
    if (gone === undefined) throw await this.notExists.error(caller, keyId, context)
    this.runs.killAll(keygenSubject(keyId), deletedMeanwhile())
    if (gone.erased !== undefined) this.runs.killAll(gone.erased, deletedMeanwhile())
    this.log({ event: 'key_deleted', user_id: userId, key_id: keyId })
  }
}

/** @throws VaultError `bad_request_params` unless every index is that of a non-hardened child */
export function parsePath(path: readonly number[] = []): readonly number[] {
  if (path.length > PATH_LENGTH)
    throw badRequest(`derivation_path has at most ${PATH_LENGTH} indices`)
  if (!path.every((index) => Number.isInteger(index) && index >= 0 && index < HARDENED))
    throw badRequest(
      'derivation_path takes indices from 0 to 2147483647: only those are not hardened',
    )
  return [...path]
}

const pendingInfo = ({ keyId, keygenId, createdAt }: PendingKeyRecord): KeyInfo => ({
  keyId,
  keygenId: bytesToHex(keygenId),
  state: 'created',
  createdAt: new Date(createdAt),
})

const readyInfo = ({ handle, share }: KeyRecord): KeyInfo => ({
  keyId: handle.keyId,
  keygenId: bytesToHex(share.keygenId),
  state: 'ready',
  createdAt: new Date(handle.createdAt),
  ...publicParts(share),
})

const publicParts = (share: ShareRecord) => ({
  pubkey: bytesToHex(share.publicKey),
  party: share.party,
  parties: share.parties,
  threshold: share.threshold,
  epoch: share.epoch,
  provenance: share.provenance,
})
