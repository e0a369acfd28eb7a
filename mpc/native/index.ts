import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { kernel } from '../kernel/wasm-kernel.js'
import { nobleCurve } from '../src/curve/noble.js'
import type { Suite } from '../src/suite.js'
import { nodeChannelCrypto } from './channel.js'
import { loadNativeCurve } from './curve.js'

export { loadNativeCurve } from './curve.js'
export { nodeChannelCrypto } from './channel.js'

/**
 * What a Node process should use: libsecp256k1 where its binding loads, else the curve of the
 * WebAssembly kernel (`suite.curve.name` tells which, so that the caller can say so), the WebAssembly kernel, and Node's own channel ciphers.
 */
export function nativeSuite(): Suite {
  return {
    curve: loadNativeCurve() ?? loadWasmCurve() ?? nobleCurve,
    kernel: kernel(),
    channel: nodeChannelCrypto,
  }
}
