import { concatBytes, u8 } from './bytes.js'
import type { Scalar } from './curve/curve.js'
import type { Kernel } from './kernel/kernel.js'
import { WIDE_BYTES, mod, reduceWide } from './math/scalar.js'
import { sessionKey } from './ot/session-key.js'
import type { PartyIndex } from './party.js'
import type { PairSetup } from './setup/pair-setup.js'
import { tags } from './tags.js'

/**
 * ζ_i, a share of zero among this party and the peers of `setups`: the ζ of all of them add up to 0, and fewer than
 * all tell nothing. DKLs23, F_zero; docs/spec/setup.md, step 7.
 * @param setups one for each other party of the run
 * @param sid the run's session id, 32 bytes; a second use gives the same share
 * @throws RangeError when a setup is another party's or two are with the same peer
 */
export function zeroShare(
  kernel: Kernel,
  me: PartyIndex,
  setups: readonly PairSetup[],
  sid: Uint8Array,
): Scalar {
  if (setups.some((setup) => setup.me !== me))
    throw new RangeError('a setup belongs to another party')
  if (new Set(setups.map((setup) => setup.peer)).size !== setups.length)
    throw new RangeError('two setups are with the same party')
  const key = sessionKey(kernel, sid, tags.zeroShare)
  return setups.reduce((sum, { peer, zeroSeed }) => {
    const [low, high] = me < peer ? [me, peer] : [peer, me]
    const input = concatBytes(u8(low), u8(high), zeroSeed)
    const wide = kernel.hash(key, input, WIDE_BYTES)
    const share = reduceWide(wide)
    input.fill(0)
    wide.fill(0)
    return mod(me < peer ? sum + share : sum - share)
  }, 0n)
}
