import { bytesToHex, equalBytes, wipe } from '@vertex/mpc'
import type { Backups } from './backup.js'
import { VaultError } from './errors.js'
import type { Backup, Caller, RewrappedBackup } from './facade.js'
import type { VaultLog } from './log.js'
import type { BackupSeal, BackupSecretHint, Clock, OpenedBackup } from './ports.js'
import { take, type Rates } from './rates.js'
import type { Mark, Trail } from './trail.js'
import type { Units } from './units.js'

/** Seals backups anew under the newest secret, so that an older one may go. The share stays what and where it was. */
export class Rewraps {
  constructor(
    private readonly units: Units,
    private readonly backups: Backups,
    private readonly seal: BackupSeal,
    private readonly rates: Rates,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    private readonly trail: Trail,
  ) {}

  /**
   * All the checks of an import, then the same share in a new blob, which was opened before it is answered. The coverage
   * learns of it when it comes back to be verified: until then the former one is the one that was seen to be kept.
   */
  async rewrap(caller: Caller, backup: Backup): Promise<RewrappedBackup> {
    await take(this.rates, 'exports', caller.userId)
    if (this.seal.mode === 'plaintext')
      throw new VaultError('export_mode_refused', 'plaintext backups are under no secret')
    return this.trail.around(
      { action: 'rewrap', caller, values: { blob: backup.keyShare } },
      (mark) => this.#rewrap(caller, backup, mark),
    )
  }

  async #rewrap(caller: Caller, backup: Backup, mark: Mark): Promise<RewrappedBackup> {
    const opened = await this.backups.open(caller, backup)
    mark.publicKey = opened.header.publicKey
    try {
      const shareId = await this.units.run((uow) => this.backups.agree(uow, caller, opened))
      if (shareId !== undefined) await take(this.rates, 'keyExports', shareId)
      return await this.#sealAnew(caller, backup, opened)
    } finally {
      wipe(opened.record)
    }
  }

  async #sealAnew(
    { userId }: Caller,
    backup: Backup,
    { header, secret: former, record }: OpenedBackup,
  ): Promise<RewrappedBackup> {
    const { keyId } = header
    const subject = { userId, keyId, createdAt: this.clock.now() }
    // A version made a moment ago counts: to call an older one the newest would end with its backups under a disabled one.
    const made = await this.seal.seal(subject, record, { look: true })
    const isNewest = sameSecret(former, made.secret)
    if (!isNewest) {
      const again = await this.seal.open(made.text, userId)
      const isSame = equalBytes(again.record, record)
      wipe(again.record)
      if (!isSame) throw new Error('a backup that was sealed anew has another share in it')
      this.log({ event: 'backup_rewrapped', user_id: userId, key_id: keyId })
    }
    return {
      exportType: 'encrypted',
      keyShare: isNewest ? backup.keyShare : made.text,
      keyId,
      pubkey: bytesToHex(header.publicKey),
      epoch: header.epoch,
      rewrapped: !isNewest,
      formerSecretVersion: former!.version,
      secretVersion: made.secret!.version,
    }
  }
}

const sameSecret = (a: BackupSecretHint | undefined, b: BackupSecretHint | undefined) =>
  a !== undefined && b !== undefined && equalBytes(a.fingerprint, b.fingerprint)
