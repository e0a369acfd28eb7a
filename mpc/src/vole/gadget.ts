import { u8 } from '../bytes.js'
import type { Kernel } from '../kernel/kernel.js'
import { WIDE_BYTES } from '../math/scalar.js'
import { XI } from '../ot/parameters.js'
import { sessionKey } from '../ot/session-key.js'
import type { PartyIndex } from '../party.js'
import { tags } from '../tags.js'

/** g_0 … g_415: public scalars that only depend on the setup's session and on who chooses. docs/spec/vole.md, step 1. */
export function deriveGadget(kernel: Kernel, seed: Uint8Array, receiver: PartyIndex): Uint8Array {
  const key = kernel.hash(sessionKey(kernel, seed, tags.voleGadget), u8(receiver), 32)
  return kernel.reduceScalars(kernel.hashRows(key, new Uint8Array(XI), 1, WIDE_BYTES))
}
