import { gcm } from '@noble/ciphers/aes.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

/**
 * Opens a sealed backup from docs/spec/sealed-backup.md and RFC 9180 alone: no code of the product, and none of the
 * library that it uses.
 */
export function openByHand(blob: Uint8Array, secret: Uint8Array): Uint8Array {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length)
  const recipientEnd = 8 + 1 + blob[8]!
  const preludeStart = recipientEnd + 32 + 8 + 4
  const preludeEnd = preludeStart + view.getUint32(preludeStart - 4)
  const associated = blob.slice(0, preludeEnd)
  const enc = blob.slice(preludeEnd, preludeEnd + 32)
  const ciphertext = blob.slice(preludeEnd + 36)
  const { key, nonce } = schedule(enc, secret, utf8ToBytes('vertex/v1/sealed-backup'))
  const rest = gcm(key, nonce, associated).decrypt(ciphertext)
  return concatBytes(blob.slice(preludeStart, preludeEnd), rest)
}

/** RFC 9180, sections 4.1 (Decap) and 5.1 (KeyScheduleR, mode base). */
function schedule(enc: Uint8Array, secret: Uint8Array, info: Uint8Array) {
  const kem = concatBytes(utf8ToBytes('KEM'), Uint8Array.of(0, 0x20))
  const hpke = concatBytes(utf8ToBytes('HPKE'), Uint8Array.of(0, 0x20, 0, 1, 0, 2))
  const shared = x25519.getSharedSecret(secret, enc)
  const kemContext = concatBytes(enc, x25519.getPublicKey(secret))
  const eae = labeledExtract(kem, none, 'eae_prk', shared)
  const sharedSecret = labeledExpand(kem, eae, 'shared_secret', kemContext, 32)
  const context = concatBytes(
    Uint8Array.of(0),
    labeledExtract(hpke, none, 'psk_id_hash', none),
    labeledExtract(hpke, none, 'info_hash', info),
  )
  const prk = labeledExtract(hpke, sharedSecret, 'secret', none)
  return {
    key: labeledExpand(hpke, prk, 'key', context, 32),
    nonce: labeledExpand(hpke, prk, 'base_nonce', context, 12),
  }
}

const none = new Uint8Array()
const version = utf8ToBytes('HPKE-v1')

const labeledExtract = (suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array) =>
  extract(sha256, concatBytes(version, suite, utf8ToBytes(label), ikm), salt)

const labeledExpand = (
  suite: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
) =>
  expand(
    sha256,
    prk,
    concatBytes(Uint8Array.of(0, length), version, suite, utf8ToBytes(label), info),
    length,
  )
