import { portableSuite } from '@vertex/mpc'
import { MemoryShareStore, Vertex } from '@vertex/sdk'

// Runs in a browser: makes a key with the server, signs twice, and hands the results to the test.
declare global {
  var life: (url: string, apiKey: string) => Promise<unknown>
  /** Which implementations run here, and k·G and a hash as they compute them. */
  var portable: (k: string, message: Uint8Array) => unknown
}

globalThis.portable = (k, message) => {
  const { curve, kernel } = portableSuite()
  return {
    curve: curve.name,
    kernel: kernel.name,
    point: [...curve.encode(curve.mulBase(BigInt(k)))],
    hash: [...kernel.hash(new Uint8Array(32).fill(7), message, 32)],
  }
}

globalThis.life = async (url, apiKey) => {
  const vertex = new Vertex({
    url,
    apiKey,
    store: new MemoryShareStore(),
    allowHttpOnLoopback: true,
    deadlineMs: 60_000,
  })
  const message = new TextEncoder().encode('from a browser')
  const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
    const started = performance.now()
    const result = await work()
    return [result, Math.round(performance.now() - started)]
  }
  const [key, keygenMs] = await timed(() => vertex.ecdsa.createKey())
  const [first] = await timed(() => key.sign({ message, hashAlgo: 'sha256' }))
  const [second, signMs] = await timed(() => key.sign({ message, hashAlgo: 'sha256' }))
  await vertex.close()
  return {
    publicKey: [...key.publicKey],
    signatures: [[...first.der], [...second.der]],
    keygenMs,
    signMs,
    hasBuffer: 'Buffer' in globalThis,
    hasProcess: 'process' in globalThis,
  }
}
