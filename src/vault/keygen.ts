import {
  bytesToHex,
  checkKeygenId,
  equalBytes,
  KEYGEN_ID_BYTES,
  ProtocolAbort,
  quorum,
  wipe,
  type Quorum,
} from '@vertex/mpc'
import type { Engine, MadeKey, MadeShare } from './engine.js'
import { deletedMeanwhile, VaultError } from './errors.js'
import type { Caller, IdentityContext, KeygenRequest, VaultIdentityInfo } from './facade.js'
import { badRequest, newShareId, parseHex } from './ids.js'
import type { Keys } from './key.js'
import type { VaultLog } from './log.js'
import type { NotExists } from './not-exists.js'
import type { Identities } from './parties.js'
import type { Clock, PendingKey } from './ports.js'
import type { Place, RoomAccess } from './rooms.js'
import { asRunError } from './run-errors.js'
import { keygenSubject, type Run, type Runs } from './runs.js'
import type { Setups } from './setups.js'
import type { Deed, Trail } from './trail.js'
import type { Units } from './units.js'

/** The round of keygen that takes the other parties' confirmations in; the one after it takes the echoes. */
const CONFIRMATIONS = 6

/** Makes this vault's share of a key, together with the other parties. */
export class Keygen {
  constructor(
    private readonly units: Units,
    private readonly keys: Keys,
    private readonly rooms: RoomAccess,
    private readonly runs: Runs,
    private readonly setups: Setups,
    private readonly engine: Engine,
    private readonly notExists: NotExists,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    private readonly trail: Trail,
    private readonly identities: Identities,
  ) {}

  async keygen(
    caller: Caller,
    request: KeygenRequest,
    context: IdentityContext = {},
  ): Promise<{ pubkey: string; chainCode: string; vaultIdentity: VaultIdentityInfo | null }> {
    const agreed = parseQuorum(request)
    const others = parseKeygenIds(request)
    const place = this.rooms.place(request.roomUuid, request.relayAddress)
    const found = await this.keys.find(caller, request.keyId, context)
    if (found.state === 'ready') throw alreadyDone()
    if (others.some((id) => equalBytes(id, found.pending.keygenId)))
      throw badRequest("others_keygen_ids contains this vault's own keygen_id")
    const expected = request.othersIdentities
    if (expected !== undefined) this.identities.assertForm(others.length, expected)
    const { keyId } = found.pending
    const making = async (run: Run) => {
      const pending = await this.units.run((uow) => uow.pendingKeys.find(caller.userId, keyId))
      if (pending === undefined) throw alreadyDone()
      try {
        return await this.#run(run, place, pending, agreed, others)
      } finally {
        wipe(pending.identitySecret)
        this.setups.release(run)
      }
    }
    const values = { key_id: keyId, ...numbered(expected) }
    const deed: Deed = { action: 'keygen', caller, values }
    const key = await this.trail.around(deed, async (mark) => {
      if (expected !== undefined)
        await this.identities.assertKeygenIds(
          others.map((id) => bytesToHex(id)),
          expected,
        )
      const made = await this.runs.within(caller.userId, keygenSubject(keyId), making)
      mark.publicKey = made.publicKey
      return made
    })
    this.log({ event: 'key_generated', user_id: caller.userId, key_id: keyId })
    return {
      pubkey: bytesToHex(key.publicKey),
      chainCode: bytesToHex(key.chainCode),
      vaultIdentity: await this.notExists.identityInfo(),
    }
  }

  async #run(
    run: Run,
    place: Place,
    pending: PendingKey,
    agreed: Quorum,
    others: readonly Uint8Array[],
  ): Promise<MadeKey> {
    const { userId, keygenId, identitySecret } = pending
    const shareId = newShareId()
    const kept = { share: false }
    try {
      const link = await this.rooms.join(run, place, keygenId)
      const key = await this.engine.keygen({
        link,
        room: place.room,
        quorum: agreed,
        identity: { secret: identitySecret, keygenId },
        keygenIds: [keygenId, ...others],
        keep: async (made) => {
          await this.#keep(pending, shareId, made)
          kept.share = true
        },
        setups: this.setups.forRun({ shareId, run }),
      })
      const confirmedAt = this.clock.now()
      if (!(await this.units.run((uow) => uow.shares.confirm(userId, shareId, confirmedAt))))
        throw deletedMeanwhile()
      return key
    } catch (e) {
      if (e instanceof ProtocolAbort) {
        const { code, round } = e
        this.log({ event: 'run_aborted', share_id: shareId, code, round })
        // A confirmation that differs: our echo has not left, nobody can finish without it, so nobody has this key.
        // Any other end, a false echo too, leaves the share where it is: the others may have finished, and then
        // they count on it (docs/spec/keygen.md, step 5.6).
        const nobodyFinished = code === 'confirmation_invalid' && round === CONFIRMATIONS
        if (kept.share && nobodyFinished) await this.#undo(pending, shareId)
      }
      throw asRunError(e)
    }
  }

  /** The share and its handle take the place of the pending key, at once or not at all. */
  async #keep(pending: PendingKey, shareId: string, made: MadeShare): Promise<void> {
    const { userId, keyId, keygenId } = pending
    const { record, publicKey, index, epoch, quorum } = made
    const createdAt = this.clock.now()
    try {
      await this.units.run(async (uow) => {
        const taken = await uow.pendingKeys.take(userId, keyId)
        if (taken === undefined) throw alreadyDone()
        wipe(taken.identitySecret)
        await uow.shares.insert(
          {
            shareId,
            userId,
            publicKey,
            party: index,
            epoch,
            threshold: quorum.threshold,
            parties: quorum.parties,
            keygenId,
            provenance: 'generated',
            createdAt,
            confirmedAt: null,
          },
          record,
        )
        await uow.handles.insert({ keyId, userId, shareId, sourceDigest: null, createdAt })
      })
    } finally {
      wipe(record)
    }
  }

  /** Puts things back to where they were before the run, so that keygen can be tried again. */
  async #undo(pending: PendingKey, shareId: string): Promise<void> {
    const { userId, keyId } = pending
    await this.units.run(async (uow) => {
      if ((await uow.handles.delete(userId, keyId)) === undefined) return
      await uow.shares.erase(userId, shareId, this.clock.now())
      await uow.pendingKeys.insert(pending)
    })
  }
}

/** For the audit log: whom a key was made with, as far as that was asked for. */
const numbered = (identities: KeygenRequest['othersIdentities'] = []): Record<string, string> =>
  Object.fromEntries(
    identities.flatMap((primary, i) => (primary === null ? [] : [[`identity_${i + 1}`, primary]])),
  )

const alreadyDone = () =>
  new VaultError('already_performed_keygen', 'keygen was done already with this key_id')

function parseQuorum({ threshold, numParties }: KeygenRequest): Quorum {
  try {
    return quorum(threshold, numParties)
  } catch (e) {
    if (e instanceof RangeError) throw new VaultError('bad_n_and_t_params', e.message)
    throw e
  }
}

function parseKeygenIds({ othersKeygenIds, numParties }: KeygenRequest): Uint8Array[] {
  if (othersKeygenIds.length !== numParties - 1)
    throw badRequest(
      `others_keygen_ids must name the ${numParties - 1} other parties, not ${othersKeygenIds.length}`,
    )
  const ids = othersKeygenIds.map((id) => parseHex('a keygen_id', id, KEYGEN_ID_BYTES))
  try {
    ids.forEach(checkKeygenId)
  } catch (e) {
    if (e instanceof RangeError) throw badRequest(e.message)
    throw e
  }
  if (new Set(ids.map((id) => bytesToHex(id))).size !== ids.length)
    throw badRequest('others_keygen_ids names a party twice')
  return ids
}
