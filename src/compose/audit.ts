import { AuditWriter } from '../audit/index.js'
import type { StorageKey } from '../seal/index.js'
import type { VaultLog } from '../vault/index.js'
import type { Clock, VaultStore } from '../vault/ports.js'

/**
 * Opens the audit log of a database, or goes on with it. What came since it was closed is recorded: that it is new,
 * or that the database was put back from a copy.
 */
export async function openAudit(
  store: VaultStore,
  storageKey: StorageKey,
  clock: Clock,
  log: VaultLog,
): Promise<AuditWriter> {
  const audit = new AuditWriter(store, storageKey.auditKeys(), clock)
  await audit.open()
  const { seq, hash } = audit.head
  log({ event: 'audit_head', seq, hash })
  return audit
}
