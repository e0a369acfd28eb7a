import { bytesToHex, decodeKeyShare, equalBytes, wipe, type Suite } from '@vertex/mpc'
import { VaultError } from './errors.js'
import type { Backup, BackupSummary, Caller, IdentityContext, RecipientBackup } from './facade.js'
import { badRequest, newShareId, newUuid } from './ids.js'
import type { Keys } from './key.js'
import type { VaultLog } from './log.js'
import type { Identities, RecipientKey } from './parties.js'
import type {
  BackupNote,
  BackupSeal,
  Clock,
  KeyRecord,
  OpenedBackup,
  RecipientSeal,
  SealedBackup,
  UnitOfWork,
} from './ports.js'
import { take, type Rates } from './rates.js'
import type { Mark, Trail } from './trail.js'
import type { Units } from './units.js'

/** Hands shares out as backups and takes them back. */
export class Backups {
  constructor(
    private readonly units: Units,
    private readonly keys: Keys,
    private readonly suite: Suite,
    private readonly seal: BackupSeal,
    private readonly rates: Rates,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    private readonly trail: Trail,
    private readonly identities: Identities,
    private readonly recipients: RecipientSeal,
  ) {}

  async export(caller: Caller, wanted: string, context: IdentityContext = {}): Promise<Backup> {
    const key = await this.#toExport(caller, wanted, context)
    const { userId } = caller
    const { keyId } = key.handle
    const { publicKey, shareId } = key.share
    return this.trail.around(
      { action: 'export', caller, publicKey, values: { key_id: keyId } },
      async () => {
        const exportedAt = this.clock.now()
        const { text, secret, digest } = await this.#seal(caller, key, context, exportedAt)
        await this.units.run((uow) =>
          uow.backups.exported({ userId, shareId, digest, exportedAt, secret }),
        )
        this.log({ event: 'backup_exported', user_id: userId, key_id: keyId })
        return { exportType: this.seal.mode, keyShare: text }
      },
    )
  }

  /**
   * What an export gives, sealed to a recipient once more. The coverage does not learn of it: only the recipient could
   * tell whether it opens. docs/spec/sealed-backup.md
   */
  async exportTo(
    caller: Caller,
    wanted: string,
    primary: string,
    context: IdentityContext = {},
  ): Promise<RecipientBackup> {
    this.identities.assertRecipient(primary)
    const key = await this.#toExport(caller, wanted, context)
    const { keyId } = key.handle
    const { publicKey } = key.share
    const deed = { action: 'export', caller, publicKey } as const
    const known = { key_id: keyId, recipient: primary }
    let found: RecipientKey
    try {
      found = await this.identities.recipientKey(primary)
    } catch (e) {
      // Whoever tries has left a trace, as with every export.
      return await this.trail.around({ ...deed, values: known }, () => Promise.reject(e as Error))
    }
    const { key: recipientKey, keyInit } = found
    const to = bytesToHex(recipientKey)
    return this.trail.around({ ...deed, values: { ...known, recipient_key: to } }, async () => {
      const exportedAt = this.clock.now()
      const { text } = await this.#seal(caller, key, context, exportedAt)
      const keyShare = await this.recipients.seal(text, {
        recipient: primary,
        recipientKey,
        exportedAt,
      })
      if (keyShare === undefined)
        throw badRequest('recipient: nothing can be sealed to the recipient key of this party')
      this.log({ event: 'backup_sealed', user_id: caller.userId, key_id: keyId })
      const of = { primary, key: to, exportedAt: new Date(exportedAt) }
      const recipient = keyInit === undefined ? of : { ...of, keyInit }
      return { exportType: this.seal.mode, keyShare, recipient }
    })
  }

  /** The key whose share may leave. */
  async #toExport(caller: Caller, wanted: string, context: IdentityContext): Promise<KeyRecord> {
    await take(this.rates, 'exports', caller.userId)
    const key = await this.keys.findReady(caller, wanted, context)
    await take(this.rates, 'keyExports', key.share.shareId)
    if (this.seal.mode === 'plaintext' && key.share.provenance === 'encrypted')
      throw new VaultError(
        'export_mode_refused',
        'this share came here encrypted and never leaves in the clear',
      )
    return key
  }

  async #seal(
    caller: Caller,
    key: KeyRecord,
    context: IdentityContext,
    createdAt: number,
  ): Promise<SealedBackup> {
    const { userId } = caller
    const { keyId } = key.handle
    const record = await this.keys.openRecord(key, caller, context)
    try {
      return await this.seal.seal({ userId, keyId, createdAt }, record)
    } finally {
      wipe(record)
    }
  }

  /**
   * Gives the backup a key_id. The same blob gets the same one whenever it comes; a share that is here already gets
   * one more handle and stays as it is, with its locks and counters.
   */
  async import(caller: Caller, backup: Backup): Promise<{ keyId: string }> {
    await take(this.rates, 'imports', caller.userId)
    return this.trail.around(
      { action: 'import', caller, values: { blob: backup.keyShare } },
      (mark) => this.#import(caller, backup, mark),
    )
  }

  async #import(caller: Caller, backup: Backup, mark: Mark): Promise<{ keyId: string }> {
    const opened = await this.open(caller, backup)
    mark.publicKey = opened.header.publicKey
    try {
      const { keyId, first } = await this.units.runAgainOnConflict((uow) =>
        this.#take(uow, caller, opened),
      )
      this.log({ event: 'backup_imported', user_id: caller.userId, key_id: keyId, first })
      return { keyId }
    } finally {
      wipe(opened.record)
    }
  }

  /** All that an import checks; changes nothing but what is known of the backups of a share that is here. */
  async verify(caller: Caller, backup: Backup): Promise<BackupSummary> {
    await take(this.rates, 'imports', caller.userId)
    return this.trail.around(
      { action: 'verify', caller, values: { blob: backup.keyShare } },
      (mark) => this.#verify(caller, backup, mark),
    )
  }

  async #verify(caller: Caller, backup: Backup, mark: Mark): Promise<BackupSummary> {
    const opened = await this.open(caller, backup)
    mark.publicKey = opened.header.publicKey
    try {
      await this.units.run(async (uow) => {
        const shareId = await this.agree(uow, caller, opened)
        if (shareId === undefined) return
        const note = noteOf({ userId: caller.userId, shareId }, opened)
        await uow.backups.verified(note, this.clock.now())
      })
      const { header, secret } = opened
      return {
        keyId: header.keyId,
        pubkey: bytesToHex(header.publicKey),
        epoch: header.epoch,
        secretVersion: secret?.version ?? null,
      }
    } finally {
      wipe(opened.record)
    }
  }

  /** Everything that is checked without the database. The caller wipes the record. */
  async open(caller: Caller, backup: Backup): Promise<OpenedBackup> {
    const { mode } = this.seal
    if (backup.exportType !== mode)
      throw new VaultError(
        'export_mode_refused',
        `this server takes ${mode} backups only, and this one says it is ${backup.exportType}`,
      )
    try {
      return await this.seal.open(backup.keyShare, caller.userId)
    } catch (e) {
      if (!(e instanceof VaultError) || e.errType !== 'backup_invalid') throw e
      throw this.#refused(caller, e.cause instanceof Error ? e.cause.message : 'unknown')
    }
  }

  async #take(
    uow: UnitOfWork,
    caller: Caller,
    opened: OpenedBackup,
  ): Promise<{ keyId: string; first: boolean }> {
    const { userId } = caller
    const createdAt = this.clock.now()
    const before = await uow.handles.findByDigest(userId, opened.digest)
    if (before !== undefined) {
      await uow.backups.verified(noteOf(before.share, opened), createdAt)
      return { keyId: before.handle.keyId, first: false }
    }
    let shareId = await this.agree(uow, caller, opened)
    if (shareId === undefined) {
      shareId = newShareId()
      await this.#insert(uow, userId, shareId, opened, createdAt)
    } else if (this.seal.mode === 'encrypted') {
      await uow.shares.markEncrypted(userId, shareId)
    }
    const keyId = newUuid()
    const sourceDigest = opened.digest
    await uow.handles.insert({ keyId, userId, shareId, sourceDigest, createdAt })
    await uow.backups.verified(noteOf({ userId, shareId }, opened), createdAt)
    return { keyId, first: true }
  }

  async #insert(
    uow: UnitOfWork,
    userId: string,
    shareId: string,
    { record }: OpenedBackup,
    createdAt: number,
  ): Promise<void> {
    const share = decodeKeyShare(this.suite, record)
    await uow.shares.insert(
      {
        shareId,
        userId,
        publicKey: share.publicKey,
        party: share.index,
        epoch: share.epoch,
        threshold: share.quorum.threshold,
        parties: share.quorum.parties,
        keygenId: share.keygenIds[share.index - 1]!,
        provenance: this.seal.mode,
        createdAt,
        // Its first run proves that the caller has the other side.
        confirmedAt: null,
      },
      record,
    )
  }

  /**
   * Checks a backup against what is here: a tombstone refuses it, and every share of this user and key must be the
   * very same. Answers that share's id.
   */
  async agree(
    uow: UnitOfWork,
    caller: Caller,
    { header, record }: OpenedBackup,
  ): Promise<string | undefined> {
    const { userId } = caller
    const { publicKey, party } = header
    if (await uow.tombstones.has({ kind: 'share', userId, publicKey, party }))
      throw new VaultError(
        'share_tombstoned',
        'this share was deleted; an administrator can lift its tombstone',
      )
    let same: string | undefined
    for (const { shareId } of await uow.shares.findForUser(userId, publicKey)) {
      const held = await uow.shares.open(userId, shareId)
      // The encoding is canonical and has epoch, share, chain code, identities and public shares in it.
      const agrees = held !== undefined && equalBytes(held, record)
      if (held !== undefined) wipe(held)
      if (!agrees) throw this.#refused(caller, 'contradicts the share that is here')
      same = shareId
    }
    return same
  }

  /** One answer for everything that can be wrong with a backup; the reason is the operator's to know. */
  #refused(caller: Caller, reason: string): VaultError {
    this.log({ event: 'backup_refused', user_id: caller.userId, reason })
    return new VaultError('backup_invalid', 'this is no backup that this server can take')
  }
}

/** What is noted of a backup that came here. */
export const noteOf = (
  { userId, shareId }: Pick<BackupNote, 'userId' | 'shareId'>,
  { header, secret, digest }: OpenedBackup,
): BackupNote => ({ userId, shareId, digest, exportedAt: header.createdAt, secret })
