import { bytesToHex } from '@vertex/mpc'

const KEY = /^vtx_[A-Za-z0-9_-]{24,}$/
const FORMAT = 1

/**
 * The public id in an API key, as a UUID: what a Vertex signs to say to whom it answered. Undefined for a text of
 * another form. docs/spec/key-hierarchy.md, section 5.
 */
export function apiKeyIdOf(apiKey: string): string | undefined {
  if (!KEY.test(apiKey)) return undefined
  const base64 = apiKey.slice(4, 28).replaceAll('-', '+').replaceAll('_', '/')
  const start = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  if (start[0] !== FORMAT) return undefined
  const id = bytesToHex(start.subarray(1, 17))
  start.fill(0)
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
