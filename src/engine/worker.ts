// A thread that computes protocol runs. It is told everything by messages, and knows no setting and no key of its own.
import { constants, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { nativeSuite } from '@vertex/mpc/native'
import { localEngine } from '../vault/index.js'
import type { FromWorker, ToWorker } from './messages.js'
import { Outbox } from './outbox.js'
import { WorkerRun } from './worker-run.js'

const port = parentPort
if (port === null) throw new Error('this program is the worker of a server')

// HTTP work must not wait behind a signature where there are fewer processors than threads. On Linux, and there alone,
// this is the priority of one thread.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW)

const engine = localEngine(nativeSuite())
const outbox = new Outbox<FromWorker>({
  postMessage: (value, transfer) => {
    port.postMessage(value, transfer)
  },
})
const runs = new Map<number, WorkerRun>()

port.on('message', (messages: readonly ToWorker[]) => {
  for (const message of messages) take(message)
})
outbox.add({ type: 'ready' })

function take(message: ToWorker): void {
  const { run } = message
  switch (message.type) {
    case 'sign':
      begin(run, message, (begun) => begun.sign(engine, message))
      return
    case 'keygen':
      begin(run, message, (begun) => begun.keygen(engine, message))
      return
    // What comes for a run that has ended meanwhile finds nobody.
    case 'event':
      runs.get(run)?.event(message.event)
      return
    case 'closed':
      runs.get(run)?.closed(message.reason)
      return
    case 'answer':
      runs.get(run)?.answer(message)
      return
  }
}

function begin(
  run: number,
  message: ConstructorParameters<typeof WorkerRun>[1],
  work: (begun: WorkerRun) => Promise<void>,
): void {
  const begun = new WorkerRun(run, message, outbox)
  runs.set(run, begun)
  void work(begun).finally(() => runs.delete(run))
}
