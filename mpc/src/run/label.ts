import { concatBytes, u8 } from '../bytes.js'

/** What a party is in a run: a client (an SDK in somebody's app) or a Vertex. */
export type Role = 'client' | 'vertex'

const roleBytes = { client: 1, vertex: 2 } as const satisfies Record<Role, number>
const KEYGEN_ID_BYTES = 33
const LABEL_BYTES = 1 + KEYGEN_ID_BYTES

export const roleByte = (role: Role): Uint8Array => u8(roleBytes[role])

/**
 * What a party announces of itself when it joins a room: role and keygen_id, 34 bytes. Nobody believes it: it only
 * says which handshake to try.
 */
export function joinLabel(role: Role, keygenId: Uint8Array): Uint8Array {
  if (keygenId.length !== KEYGEN_ID_BYTES) throw new RangeError('a keygen_id has 33 bytes')
  return concatBytes(roleByte(role), keygenId)
}

/** Reads a label; undefined for anything that `joinLabel` would not have written. */
export function parseLabel(label: Uint8Array): { role: Role; keygenId: Uint8Array } | undefined {
  if (label.length !== LABEL_BYTES) return undefined
  const role = label[0] === roleBytes.client ? 'client' : 'vertex'
  if (label[0] !== roleBytes[role]) return undefined
  return { role, keygenId: label.subarray(1) }
}
