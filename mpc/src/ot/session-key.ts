import type { Kernel } from '../kernel/kernel.js'
import type { Tag } from '../tags.js'
import { tagKey } from '../transcript.js'

/** Bytes of a session id. */
export const SID_BYTES = 32

/**
 * The BLAKE3 key of one purpose in one session: keyed BLAKE3 of sid under the tag's key. docs/spec/notation.md
 * @throws RangeError unless sid is 32 bytes
 */
export function sessionKey(kernel: Kernel, sid: Uint8Array, tag: Tag): Uint8Array {
  if (sid.length !== SID_BYTES) throw new RangeError('a session id is 32 bytes')
  return kernel.hash(tagKey(tag), sid, 32)
}
