// Loaded into a process, by `import` or `node --import`: from then on every draw of random bytes and keys gives the same
// again, in a server in all of its threads, as if its random source had been cloned with the machine.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import workers from 'node:worker_threads'

const drawn = crypto.generateKeyPairSync('x25519')
const prefix = drawn.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(0, -32)
const key = Buffer.concat([prefix, Buffer.alloc(32, 7)])

const original = [
  [globalThis.crypto, 'getRandomValues', globalThis.crypto.getRandomValues],
  [crypto, 'randomBytes', crypto.randomBytes],
  [crypto, 'generateKeyPairSync', crypto.generateKeyPairSync],
  [workers, 'Worker', workers.Worker],
]

globalThis.crypto.getRandomValues = (view) => view.fill(7)
crypto.randomBytes = (length) => Buffer.alloc(length, 7)
crypto.generateKeyPairSync = () => {
  const privateKey = crypto.createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  return { privateKey, publicKey: crypto.createPublicKey(privateKey) }
}
// The server's threads are not given its environment, and so nothing that it names.
workers.Worker = class extends workers.Worker {
  constructor(program, options) {
    super(program, { ...options, execArgv: ['--import', import.meta.url] })
  }
}
syncBuiltinESMExports()

/** All is drawn anew again. */
export function undo() {
  for (const [holder, name, value] of original) holder[name] = value
  syncBuiltinESMExports()
}
