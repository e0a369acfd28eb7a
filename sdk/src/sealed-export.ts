import { randomBytes } from '@noble/hashes/utils.js'
import { readSealedBackup, SealedBackupRefused } from '@vertex/directory/sealed'
import {
  agreementKey,
  checkKeyInit,
  type Identity,
  type UidContent,
} from '@vertex/directory/keyserver'
import { bytesToHex } from '@vertex/mpc'
import type { Party, SealedBackup } from './directory.js'
import { BackupError, IdentityError } from './errors.js'
import { identityHeaders } from './identity-headers.js'
import { vertexAt, type LiveKey } from './live-key.js'
import type { VertexClient } from './vertex-client.js'

/** Whom a backup is to be sealed to, and how the key is known. */
export interface SealTo {
  readonly recipient: string
  /**
   * @param key hex
   * @param keyInit what a name has signed about a key that is given out once, as the Vertex shows it
   */
  readonly isKey: (key: string, keyInit: string | undefined) => boolean
}

/** To the key that a party added last. */
export const toParty = ({ primary, recipientKeys }: Party): SealTo => ({
  recipient: primary,
  isKey: (key) => key === recipientKeys.at(-1),
})

/**
 * To a key of a name: one that is given out once, signed by the key of the name that was found on the chain, or where
 * the name allows it the one that it has for everybody. docs/spec/keyserver.md, section 10
 */
export const toName = (identity: Identity, content: UidContent): SealTo => ({
  recipient: `mute:${identity.text}`,
  isKey(key, keyInit) {
    const preference = content.PREFERENCES.FORWARDSEC
    if (keyInit === undefined)
      return preference === 'optional' && isThat(key, agreementKey(content.PUBKEYS))
    try {
      const expected = {
        sigPubKey: content.SIGKEY.PUBKEY,
        repoUris: [...(content.REPOURIS ?? []), identity.domain],
        now: Math.floor(Date.now() / 1000),
      }
      const { anchor, keyInit: read } = checkKeyInit(JSON.parse(keyInit) as unknown, expected)
      if (read.Contents.FALLBACK && preference === 'strict') return false
      return isThat(key, agreementKey(anchor.PFKEYS))
    } catch {
      // Whatever is wrong with it, the key is not shown to be this name's.
      return false
    }
  },
})

const isThat = (hex: string, key: Uint8Array | undefined) =>
  key !== undefined && bytesToHex(key) === hex

/**
 * Takes a backup of a Vertex's share that is sealed to a party, and compares all that can be read of it with what was
 * asked for. docs/spec/sealed-backup.md, section 6: what is inside, only the party can see.
 * @throws BackupError, IdentityError
 */
export async function exportSealed(
  client: VertexClient,
  key: LiveKey,
  at: number,
  to: SealTo,
  signal: AbortSignal,
): Promise<SealedBackup> {
  const record = await key.record()
  const { keyId, identity, keygenId } = vertexAt(record, at)
  const headers = identityHeaders(randomBytes(32), identity?.fingerprint)
  const { backup, keyInit } = await client.answers.exportKeyShareTo(keyId, {
    signal,
    headers,
    query: { recipient: to.recipient },
  })
  const { export_type: exportType, key_share: keyShare } = backup
  if (identity !== null && exportType !== 'encrypted')
    throw new IdentityError(
      'identity_mismatch',
      'the Vertex had encrypted backups when the key was made and now gives one in the clear',
    )
  const { recipient, recipientKey, exportedAt, subject } = read(keyShare)
  const sealedTo = bytesToHex(recipientKey)
  if (recipient !== to.recipient || !to.isKey(sealedTo, keyInit))
    throw new IdentityError(
      'identity_mismatch',
      'the Vertex sealed the backup to a key that is not the one of this recipient',
    )
  const [own, of] = [subject.keygenIds[subject.party - 1], bytesToHex(subject.publicKey)]
  if (of !== record.publicKey || own === undefined || bytesToHex(own) !== keygenId)
    throw new BackupError('backup_invalid', 'the backup is of another key')
  if (subject.epoch !== record.epoch)
    throw new BackupError(
      'backup_invalid',
      `the backup is of epoch ${subject.epoch}, the key of epoch ${record.epoch}`,
    )
  return {
    exportType,
    keyShare,
    recipient,
    recipientKey: sealedTo,
    exportedAt: new Date(exportedAt),
  }
}

function read(keyShare: string) {
  try {
    return readSealedBackup(keyShare)
  } catch (error) {
    if (!(error instanceof SealedBackupRefused)) throw error
    throw new BackupError('backup_invalid', 'the Vertex gave a backup that is not sealed', {
      cause: error,
    })
  }
}
