import { Worker } from 'node:worker_threads'
import type { Signature } from '@vertex/mpc'
import { VaultError, type KeygenWork, type MadeKey, type SignWork } from '../vault/index.js'
import type { FromWorker, RunMessage, ToWorker } from './messages.js'
import { Outbox, owningSecret } from './outbox.js'
import { RemoteRun } from './remote-run.js'

/** How much of a thread a run takes, compared with a signature: a keygen makes an OT setup. */
const WEIGHTS = { sign: 1, keygen: 8 } as const

/** One worker thread, seen from the main thread. */
export class Thread {
  /** Resolves when it takes runs. Rejects when it ended before that. */
  readonly ready: Promise<void>
  /** Resolves when it has ended, with the error that ended it, if there was one. */
  readonly ended: Promise<unknown>
  readonly #worker: Worker
  readonly #outbox: Outbox<ToWorker>
  readonly #runs = new Map<number, RemoteRun>()
  #lastRun = 0
  #load = 0
  #isReady = false

  constructor(program: URL) {
    // Of the environment it needs nothing, and it must not see what the settings were.
    this.#worker = new Worker(program, { env: {}, name: 'protocol' })
    this.#outbox = new Outbox({
      postMessage: (value, transfer) => {
        this.#worker.postMessage(value, transfer)
      },
    })
    let error: unknown
    this.#worker.on('error', (thrown) => (error = thrown))
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#isReady = false
        for (const run of this.#runs.values()) run.fail(threadEnded())
        resolve(error)
      })
    })
    this.ready = new Promise((resolve, reject) => {
      void this.ended.then((cause) => {
        reject(new Error('a worker thread ended at its start', { cause }))
      })
      this.#worker.on('message', (messages: readonly FromWorker[]) => {
        for (const message of messages)
          if (message.type === 'ready') {
            this.#isReady = true
            resolve()
          } else this.#take(message)
      })
    })
    this.ready.catch(() => undefined)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** What it has to do, in signatures. */
  get load(): number {
    return this.#load
  }

  get runs(): number {
    return this.#runs.size
  }

  async sign(work: SignWork): Promise<Signature[]> {
    const { link, room, batch, setups } = work
    const record = owningSecret(work.record)
    const secrets = [record]
    const known = new Map(
      [...setups.known].map(([peer, bytes]) => {
        const owned = owningSecret(bytes)
        secrets.push(owned)
        return [peer, owned] as const
      }),
    )
    const { slot, size } = link
    const life = setups.life.memory
    const timed = work.measured !== undefined
    const begin = { type: 'sign', slot, size, room, life, timed, record, known, batch } as const
    const run = new RemoteRun({ link, setups, signatures: batch.length })
    const end = await this.#start(WEIGHTS.sign, run, begin, secrets)
    if (end.type !== 'signed') throw new Error('a signature ended as something else')
    work.measured?.(end.rounds)
    return [...end.signatures]
  }

  async keygen(work: KeygenWork): Promise<MadeKey> {
    const { link, room, quorum, keygenIds, setups } = work
    // The identity stays the caller's.
    const secret = Uint8Array.from(work.identity.secret)
    const identity = { secret, keygenId: work.identity.keygenId }
    const { slot, size } = link
    const life = setups.life.memory
    const timed = work.measured !== undefined
    const begin = {
      ...({ type: 'keygen', slot, size, room, life, timed } as const),
      ...{ quorum, identity, keygenIds },
    }
    const run = new RemoteRun({ link, setups, keep: (made) => work.keep(made) })
    const end = await this.#start(WEIGHTS.keygen, run, begin, [secret])
    if (end.type !== 'made') throw new Error('a keygen ended as something else')
    work.measured?.(end.rounds)
    return end.key
  }

  /** At once, whatever it does. */
  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  async #start(
    weight: number,
    run: RemoteRun,
    begin: BeginOf<ToWorker>,
    secrets: readonly Uint8Array<ArrayBuffer>[],
  ) {
    const id = ++this.#lastRun
    this.#runs.set(id, run)
    this.#load += weight
    try {
      this.#outbox.add({ ...begin, run: id }, ...secrets)
      run.begin((message, ...handedOver) => {
        this.#outbox.add({ ...message, run: id }, ...handedOver)
      })
      return await run.ended
    } finally {
      this.#runs.delete(id)
      this.#load -= weight
    }
  }

  #take(message: RunMessage): void {
    this.#runs.get(message.run)?.take(message)
  }
}

type BeginOf<M> = M extends { readonly type: 'sign' | 'keygen' } ? Omit<M, 'run'> : never

const threadEnded = () =>
  new VaultError('too_busy', 'the thread that computed this has ended; try again')
