import { createHmac, timingSafeEqual } from 'node:crypto'
import { withLength } from './record.js'

/** The two keys of the audit log, 32 bytes each. docs/spec/key-hierarchy.md, section 3. */
export interface AuditKeys {
  /** Authenticates records and anchors. */
  readonly chain: Uint8Array
  /** Hides values. */
  readonly values: Uint8Array
}

/** The code that only the server can make for the record of this hash. 64 hex digits. */
export function macOf(chainKey: Uint8Array, hash: string): string {
  return keyed(chainKey, ['vertex/v1/audit-mac', hash])
}

/** The same for an anchor. */
export function anchorMac(
  chainKey: Uint8Array,
  anchor: { readonly seq: number; readonly at: number; generation: string; hash: string },
): string {
  const { seq, at, generation, hash } = anchor
  return keyed(chainKey, ['vertex/v1/audit-anchor', seq, at, generation, hash])
}

/**
 * Stands for a value in the log: the same value under the same name has the same hash, and who lacks the key cannot try
 * which value it is.
 */
export function hashValue(valuesKey: Uint8Array, name: string, value: string): string {
  return keyed(valuesKey, ['vertex/v1/audit-value', name, value])
}

/** Whether two codes of 64 hex digits are the same, in the same time whatever they are. */
export function sameMac(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function keyed(key: Uint8Array, items: readonly (string | number)[]): string {
  const hmac = createHmac('sha256', key)
  for (const bytes of items.flatMap(withLength)) hmac.update(bytes)
  return hmac.digest('hex')
}
