import { utf8ToBytes } from '@noble/hashes/utils.js'

/*
 * What is in the payloads. The registry looks into that of an account for its lamport and no further; the rest is what
 * those who publish and those who read agree on.
 *
 *   key package   timestamp_ms u64 LE || key package
 *   account       "libchat:account-device-bundle" 00 || version u8 || lamport u64 LE || count u16 LE || count keys of 32
 */

/** What the payload of an account begins with: the text of the original, and a zero. */
const ACCOUNT_DOMAIN = utf8ToBytes('libchat:account-device-bundle\0')
const LAMPORT_AT = ACCOUNT_DOMAIN.length + 1
const COUNT_AT = LAMPORT_AT + 8
const DEVICES_AT = COUNT_AT + 2
const KEY_BYTES = 32
const VERSION = 1
const MOST_DEVICES = 0xffff

export interface KeyPackagePayload {
  /** Milliseconds since 1970, on the clock of the device. */
  readonly timestampMs: bigint
  /** An MLS KeyPackage, or what else the devices agree on. */
  readonly keyPackage: Uint8Array
}

/** @throws RangeError for a time that has no place in it */
export function encodeKeyPackage({ timestampMs, keyPackage }: KeyPackagePayload): Uint8Array {
  const payload = new Uint8Array(8 + keyPackage.length)
  viewOf(payload).setBigUint64(0, wide(timestampMs), true)
  payload.set(keyPackage, 8)
  return payload
}

/** @returns undefined for what is too short */
export function decodeKeyPackage(payload: Uint8Array): KeyPackagePayload | undefined {
  if (payload.length < 8) return undefined
  return {
    timestampMs: viewOf(payload).getBigUint64(0, true),
    keyPackage: payload.slice(8),
  }
}

/** The devices of an account. */
export interface AccountPayload {
  /** Higher with each change, so that an older list cannot take the place of a newer one. */
  readonly lamport: bigint
  /** Their Ed25519 keys. */
  readonly devices: readonly Uint8Array[]
}

/** @throws RangeError for what has no place in it */
export function encodeAccount({ lamport, devices }: AccountPayload): Uint8Array {
  if (devices.length > MOST_DEVICES) throw new RangeError('an account has 65535 devices at most')
  const payload = new Uint8Array(DEVICES_AT + KEY_BYTES * devices.length)
  payload.set(ACCOUNT_DOMAIN)
  const view = viewOf(payload)
  view.setUint8(ACCOUNT_DOMAIN.length, VERSION)
  view.setBigUint64(LAMPORT_AT, wide(lamport), true)
  view.setUint16(COUNT_AT, devices.length, true)
  devices.forEach((device, i) => {
    if (device.length !== KEY_BYTES) throw new RangeError('a device key has 32 bytes')
    payload.set(device, DEVICES_AT + KEY_BYTES * i)
  })
  return payload
}

/** @returns undefined for what is not a whole list of version 1 */
export function decodeAccount(payload: Uint8Array): AccountPayload | undefined {
  const lamport = readLamport(payload)
  if (lamport === undefined || payload.length < DEVICES_AT) return undefined
  const view = viewOf(payload)
  const count = view.getUint16(COUNT_AT, true)
  if (view.getUint8(ACCOUNT_DOMAIN.length) !== VERSION) return undefined
  if (payload.length !== DEVICES_AT + KEY_BYTES * count) return undefined
  const devices = Array.from({ length: count }, (_, i) =>
    payload.slice(DEVICES_AT + KEY_BYTES * i, DEVICES_AT + KEY_BYTES * (i + 1)),
  )
  return { lamport, devices }
}

/**
 * The lamport of an account's payload, whatever its version is and whatever follows.
 * @returns undefined for what has no such header
 */
export function readLamport(payload: Uint8Array): bigint | undefined {
  if (payload.length < COUNT_AT) return undefined
  if (!ACCOUNT_DOMAIN.every((byte, i) => payload[i] === byte)) return undefined
  return viewOf(payload).getBigUint64(LAMPORT_AT, true)
}

/** Without which a larger number would silently become a smaller one. */
function wide(value: bigint): bigint {
  if (BigInt.asUintN(64, value) !== value) throw new RangeError('not a whole number of 64 bits')
  return value
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
