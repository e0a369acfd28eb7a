import { blake3 } from '@noble/hashes/blake3.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'

/** A random source that repeats itself for the same name. For tests that need two runs to draw alike. */
export function seeded(name: string): (length: number) => Uint8Array {
  let calls = 0
  return (length) => blake3(utf8ToBytes(`${name}/${calls++}`), { dkLen: length })
}
