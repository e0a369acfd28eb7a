import { bytesToHex } from '@vertex/mpc'

/** The headers that make a key_id_not_exists a signed one. */
export function identityHeaders(
  nonce: Uint8Array,
  fingerprint: string | undefined,
): Record<string, string> {
  if (fingerprint === undefined) return {}
  return { 'x-vertex-nonce': bytesToHex(nonce), 'x-vertex-identity': fingerprint }
}
