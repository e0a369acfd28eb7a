import { randomBytes } from '@noble/hashes/utils.js'
import type { Context } from './context.js'
import { BackupError, IdentityError } from './errors.js'
import { vertexAt, type LiveKey } from './live-key.js'
import type { Backup, KeyRecord } from './record.js'
import { livesUnder, proveIdentity } from './recovery.js'
import { identityHeaders } from './identity-headers.js'
import type { VertexClient } from './vertex-client.js'

/** What a Vertex says of a backup after all the checks of an import. */
export interface VerifiedBackup {
  /** The handle under which it was exported. */
  readonly keyId: string
  /** 33 bytes, compressed, hex. */
  readonly publicKey: string
  readonly epoch: number
  /** Of the backup secret that opened it; null for a plaintext one. */
  readonly secretVersion: string | null
}

/**
 * Takes a fresh backup of a Vertex's share and has it verified. An encrypted one is stored for recovery; one in the clear
 * is only handed out, since whoever keeps it beside this party's share has both.
 *
 * A Vertex that had an identity proves it first, since a backup that nobody may call for is none. The pin follows the
 * vault to its newest identity, so that an operator may disable an old backup secret once every key was exported again.
 * @throws IdentityError, BackupError, RollbackDetectedError
 */
export async function backUp(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  at: number,
  signal: AbortSignal,
): Promise<Backup> {
  const record = await key.record()
  const vertex = vertexAt(record, at)
  const { keyId, identity } = vertex
  const proven = await proveIdentity(context, client, key, vertex, signal)
  const headers = identityHeaders(randomBytes(32), identity?.fingerprint)
  const backup = await client.answers.exportKeyShare(keyId, { signal, headers })
  if (identity !== null && backup.export_type !== 'encrypted')
    throw new IdentityError(
      'identity_mismatch',
      'the Vertex had encrypted backups when the key was made and now gives one in the clear',
    )
  const { epoch } = await verify(client, record, backup, signal)
  if (backup.export_type === 'encrypted')
    await key.updateVertex(at, (now) => ({
      ...now,
      backup,
      // What was proven before a recovery says nothing about the database that came after it.
      ...(proven && now.generation === vertex.generation ? livesUnder(now, proven) : {}),
    }))
  context.events.emit('backup', { id: key.id, url: client.url, keyId, epoch })
  return backup
}

/** Has a backup checked as an import would, and compares what it holds with the pinned key. */
export async function verify(
  client: VertexClient,
  record: KeyRecord,
  backup: Backup,
  signal: AbortSignal,
): Promise<VerifiedBackup> {
  const verified = await client.answers.verifyKeyShare(backup, { signal })
  checkVerified(record, verified)
  return verified
}

/** Compares what a backup holds with the pinned key. @throws BackupError */
export function checkVerified(record: KeyRecord, verified: VerifiedBackup): void {
  if (verified.publicKey !== record.publicKey)
    throw new BackupError('backup_invalid', 'the backup is of another key')
  if (verified.epoch !== record.epoch)
    throw new BackupError(
      'backup_invalid',
      `the backup is of epoch ${verified.epoch}, the key of epoch ${record.epoch}`,
    )
}
