import { randomBytes } from '@noble/hashes/utils.js'
import { readSealedBackup, SealedBackupRefused } from '@vertex/directory/sealed'
import { bytesToHex } from '@vertex/mpc'
import type { Party, SealedBackup } from './directory.js'
import { BackupError, IdentityError } from './errors.js'
import { identityHeaders } from './identity-headers.js'
import { vertexAt, type LiveKey } from './live-key.js'
import type { VertexClient } from './vertex-client.js'

/**
 * Takes a backup of a Vertex's share that is sealed to a party, and compares all that can be read of it with what was
 * asked for. docs/spec/sealed-backup.md, section 6: what is inside, only the party can see.
 * @throws BackupError, IdentityError
 */
export async function exportSealed(
  client: VertexClient,
  key: LiveKey,
  at: number,
  party: Party,
  signal: AbortSignal,
): Promise<SealedBackup> {
  const record = await key.record()
  const { keyId, identity, keygenId } = vertexAt(record, at)
  const headers = identityHeaders(randomBytes(32), identity?.fingerprint)
  const { export_type: exportType, key_share: keyShare } = await client.answers.exportKeyShare(
    keyId,
    { signal, headers, query: { recipient: party.primary } },
  )
  if (identity !== null && exportType !== 'encrypted')
    throw new IdentityError(
      'identity_mismatch',
      'the Vertex had encrypted backups when the key was made and now gives one in the clear',
    )
  const { recipient, recipientKey, exportedAt, subject } = read(keyShare)
  const sealedTo = bytesToHex(recipientKey)
  if (recipient !== party.primary || sealedTo !== party.recipientKeys.at(-1))
    throw new IdentityError(
      'identity_mismatch',
      'the Vertex sealed the backup to another key than the newest one of this party',
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
