import { foldRows } from '../../src/kernel/fold.js'
import { referenceKernel as kernel } from '../../src/kernel/reference.js'
import { xorInto } from '../../src/math/gf128.js'
import { extensionBytes } from '../../src/ot/extension.js'
import { sessionKey } from '../../src/ot/session-key.js'
import { tags } from '../../src/tags.js'
import { TREES } from './ot.js'

/**
 * An OT-extension receiver that follows every step but uses other choice bits in one tree: it flips `error` there
 * before the challenge is drawn, and answers the challenge as if nothing had happened. It passes exactly when the
 * sender's Δ of that tree is 0.
 */
export function cheatingReceiver(
  sid: Uint8Array,
  leaves: Uint8Array,
  choice: Uint8Array,
  mask: Uint8Array,
  tree: number,
  error: Uint8Array,
): Uint8Array {
  const width = choice.length + 16
  const r = kernel.hashRows(sessionKey(kernel, sid, tags.otExpand), leaves, 32, width)
  const x = Uint8Array.from([...choice, ...mask])
  const u = new Uint8Array(TREES * width)
  const rows = new Uint8Array(128 * width)
  for (let g = 0; g < TREES; g++) {
    const ug = u.subarray(g * width, (g + 1) * width)
    ug.set(x)
    if (g === tree) xorInto(ug, error)
    for (let y = 0; y < 4; y++) {
      const ry = r.subarray((4 * g + y) * width, (4 * g + y + 1) * width)
      xorInto(ug, ry)
      for (const b of [0, 1])
        if ((y >> b) & 1) xorInto(rows.subarray((2 * g + b) * width, (2 * g + b + 1) * width), ry)
    }
  }
  const blocks = Math.ceil(choice.length / 16)
  const chi = kernel.hash(sessionKey(kernel, sid, tags.otChallenge), u, 16 * blocks)
  const message = new Uint8Array(extensionBytes(choice.length))
  message.set(u)
  message.set(foldRows(x, width, chi), u.length)
  message.set(foldRows(rows, width, chi), u.length + 16)
  return message
}
