import { open } from 'node:fs/promises'
import { anchorBlob, anchorFile, Anchoring, AuditWriter, type AnchorPlace } from '../audit/index.js'
import type { Config } from '../config.js'
import { errorCode } from '../error-code.js'
import { managedIdentity, type StorageKey } from '../seal/index.js'
import { StartRefused, type VaultLog } from '../vault/index.js'
import type { Clock } from '../vault/ports.js'

/**
 * Opens the audit log of a database, or goes on with it. What came since it was closed is recorded: that it is new,
 * or that the database was put back from a copy.
 */
export async function openAudit(audit: AuditWriter, log: VaultLog): Promise<void> {
  await audit.open()
  const { seq, hash } = audit.head
  log({ event: 'audit_head', seq, hash })
}

/**
 * What anchors the audit log where the configuration says.
 * @throws StartRefused for a file that cannot be written
 */
export async function composeAnchoring(
  { audit: { anchorFile: path, anchorBlob: blob } }: Config,
  writer: AuditWriter,
  storageKey: StorageKey,
  clock: Clock,
  log: VaultLog,
): Promise<Anchoring> {
  const places: AnchorPlace[] = []
  if (path !== undefined) {
    try {
      await (await open(path, 'a', 0o600)).close()
    } catch (error) {
      const code = errorCode(error) ?? 'unknown error'
      throw new StartRefused(`VERTEX_AUDIT_ANCHOR_FILE: ${path} cannot be written (${code})`)
    }
    places.push(anchorFile(path))
  }
  if (blob !== undefined) places.push(anchorBlob(blob.url, managedIdentity(blob.clientId), clock))
  return new Anchoring(writer, storageKey.auditKeys(), clock, places, log)
}
