import { hexToBytes } from '@noble/hashes/utils.js'
import { decodeBase64 } from '../base64.js'
import { verifyStrict } from '../ed25519.js'
import {
  decodeAccount,
  decodeKeyPackage,
  type AccountPayload,
  type KeyPackagePayload,
} from './payload.js'
import { isKeyId } from './submission.js'

/** What a registry answers. */
export interface Fetched {
  /** Base64. */
  readonly payload: string
  /** Base64. */
  readonly signature: string
}

/**
 * The key package of a device, for those who asked a registry for it, which is not to be trusted.
 * @returns undefined for what the device did not sign, or is no key package: it counts as if there were none. Whether
 * the key package itself was made for that device is for MLS to say.
 */
export function openKeyPackage(deviceId: string, fetched: Fetched): KeyPackagePayload | undefined {
  const payload = open(deviceId, fetched)
  return payload && decodeKeyPackage(payload)
}

/**
 * The devices of an account, likewise. Whoever has seen a higher lamport of this account has an old list before them.
 */
export function openAccount(accountId: string, fetched: Fetched): AccountPayload | undefined {
  const payload = open(accountId, fetched)
  return payload && decodeAccount(payload)
}

function open(id: string, fetched: Fetched): Uint8Array | undefined {
  const payload = decodeBase64(fetched.payload)
  const signature = decodeBase64(fetched.signature)
  if (!isKeyId(id) || payload === undefined || signature?.length !== 64) return undefined
  return verifyStrict(hexToBytes(id), payload, signature) === 'valid' ? payload : undefined
}
