import { createCipheriv } from 'node:crypto'

/**
 * One ciphertext and tag that AES-256-GCM accepts under two keys, with a zero nonce and the same associated data. One
 * block of ciphertext is enough: the tag is linear in it, so the two tags can be made equal by solving for the block.
 */
export function collidingCiphertext(key1: Buffer, key2: Buffer, associated: Buffer) {
  const one = constants(key1, associated)
  const two = constants(key2, associated)
  // tag_i = known_i + C · h_i²
  const C = multiply(
    one.known ^ two.known,
    inverse(multiply(one.h, one.h) ^ multiply(two.h, two.h)),
  )
  const tag = one.known ^ multiply(C, multiply(one.h, one.h))
  return { ciphertext: toBytes(C), tag: toBytes(tag) }
}

/** Of a message with one block of ciphertext: the hash key, and the tag but for what the block adds. */
function constants(key: Buffer, associated: Buffer): { h: bigint; known: bigint } {
  const h = encryptBlock(key, Buffer.alloc(16))
  const counter = Buffer.alloc(16)
  counter[15] = 1
  const lengths = (BigInt(associated.length * 8) << 64n) | 128n
  let sum = 0n
  for (let at = 0; at < associated.length; at += 16) {
    const block = Buffer.alloc(16)
    associated.copy(block, 0, at)
    sum = multiply(sum ^ toBigInt(block), h)
  }
  // The ciphertext block enters here and is multiplied by h twice.
  sum = multiply(multiply(sum, h) ^ lengths, h)
  return { h, known: sum ^ encryptBlock(key, counter) }
}

function encryptBlock(key: Buffer, block: Buffer): bigint {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  return toBigInt(cipher.update(block))
}

/** In GCM's field, SP 800-38D: the first bit is the lowest power. */
function multiply(x: bigint, y: bigint): bigint {
  let z = 0n
  let v = y
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) z ^= v
    v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n
  }
  return z
}

function inverse(x: bigint): bigint {
  let result = 1n << 127n
  let power = x
  for (let i = 1; i < 128; i++) {
    power = multiply(power, power)
    result = multiply(result, power)
  }
  return result
}

const toBigInt = (bytes: Buffer) => BigInt('0x' + bytes.toString('hex'))
const toBytes = (value: bigint) => Buffer.from(value.toString(16).padStart(32, '0'), 'hex')
