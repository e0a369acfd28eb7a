// Times signing of @toruslabs/tss-dkls-lib through its published API. It has no keygen of its own: the key is dealt.
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { secp256k1 } from '@noble/curves/secp256k1.js'

const { tssLib } = createRequire(import.meta.url)('@toruslabs/tss-dkls-lib')
const base64 = (bytes) => Buffer.from(bytes).toString('base64')

// The library sends and reads through two globals.
const arrived = new Map()
const waiting = new Map()
globalThis.js_send_msg = (session, from, to, type, data) => {
  const key = [session, to, from, type].join()
  const reader = waiting.get(key)
  if (reader === undefined) arrived.set(key, data)
  else {
    waiting.delete(key)
    reader(data)
  }
  return Promise.resolve(true)
}
globalThis.js_read_msg = (session, me, from, type) => {
  if (type.includes('ga1_worker_support')) return Promise.resolve('not supported')
  const key = [session, me, from, type].join()
  const data = arrived.get(key)
  if (data === undefined) return new Promise((resolve) => waiting.set(key, resolve))
  arrived.delete(key)
  return Promise.resolve(data)
}

/** Two parties, set up to sign with a dealt key. */
export async function setUp() {
  const lib = await tssLib.load()
  const { Fn, BASE } = secp256k1.Point
  const [secret, slope] = [0, 1].map(() => Fn.fromBytes(secp256k1.utils.randomSecretKey()))
  const publicKey = base64(BASE.multiply(secret).toBytes(false).subarray(1))
  const signers = [1n, 2n].map((x, index) => {
    const share = Fn.toBytes(Fn.add(secret, Fn.mul(slope, x)))
    return lib.threshold_signer('bench', index, 2, 2, base64(share), publicKey)
  })
  const rngs = signers.map(() => lib.random_generator(base64(randomBytes(32))))
  await Promise.all(signers.map((signer, i) => lib.setup(signer, rngs[i])))
  return { lib, publicKey, signers, rngs }
}

export async function sign({ lib, publicKey, signers, rngs }, digest) {
  const both = new Uint8Array([0, 1])
  const message = base64(digest)
  const precomputed = await Promise.all(
    signers.map((signer, i) => lib.precompute(both, signer, rngs[i])),
  )
  const fragments = precomputed.map((p) => lib.local_sign(message, true, p))
  const r = lib.get_r_from_precompute(precomputed[0])
  return lib.local_verify(message, true, r, fragments, publicKey)
}
