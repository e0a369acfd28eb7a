import { randomBytes, randomUUID } from 'node:crypto'
import { hexToBytes } from '@vertex/mpc'
import { VaultError } from './errors.js'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const HEX = /^(?:[0-9a-f]{2})*$/i

/** A random UUID (RFC 9562, version 4): key_ids and user_ids. */
export const newUuid = (): string => randomUUID()

/** Names a share inside the vault: 32 hex characters, never shown outside. */
export function newShareId(): string {
  return randomBytes(16).toString('hex')
}

/**
 * The one form in which an id is stored, looked up and signed.
 * @throws VaultError `bad_request_params`
 */
export function parseUuid(what: string, value: string): string {
  if (!UUID.test(value)) throw badRequest(`${what} is not a UUID`)
  return value.toLowerCase()
}

/**
 * The 16 bytes of a room_uuid, all of which are random.
 * @throws VaultError `bad_request_params`
 */
export function roomBytes(roomUuid: string): Uint8Array {
  return hexToBytes(parseUuid('room_uuid', roomUuid).replaceAll('-', ''))
}

/** @throws VaultError `bad_request_params` unless the value is hex, of `length` bytes where that is given */
export function parseHex(what: string, value: string, length?: number): Uint8Array {
  if (!HEX.test(value)) throw badRequest(`${what} is not hex`)
  if (length !== undefined && value.length !== 2 * length)
    throw badRequest(`${what} must have ${length} bytes, that is ${2 * length} hex digits`)
  return hexToBytes(value.toLowerCase())
}

export function badRequest(message: string): VaultError {
  return new VaultError('bad_request_params', message)
}
