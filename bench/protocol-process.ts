// A process that runs the in-memory protocol, both parties, for as long as it is told.
import { randomBytes } from 'node:crypto'
import { serveTasks } from './child.js'
import { runInRoom } from './in-memory-run.js'
import { keygenWithSetups, sign, suites } from './protocol.js'

const suite = suites.native()
const key = keygenWithSetups(suite, 2, 2)
const rateOf = async (ms: number, work: (digest: Uint8Array) => unknown) => {
  let signatures = 0
  const start = performance.now()
  for (; performance.now() - start < ms; signatures++) await work(Uint8Array.from(randomBytes(32)))
  return signatures / ((performance.now() - start) / 1000)
}

serveTasks({
  /** Answers signatures per second. */
  sign: ({ ms }: { ms: number }) => rateOf(ms, (digest) => sign(suite, key, 2, digest)),
  /** The same with handshake and sealed messages. */
  run: ({ ms }: { ms: number }) => rateOf(ms, (digest) => runInRoom(suite, key, digest)),
})
