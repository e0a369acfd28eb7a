import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Signature } from '@vertex/mpc'
import {
  limits,
  VaultError,
  type Engine,
  type KeygenWork,
  type MadeKey,
  type SignWork,
  type VaultLog,
} from '../vault/index.js'
import { Thread } from './thread.js'

/** How long to wait before another thread takes the place of one that ended at its start. */
const RESTART_MS = 1_000

export interface PoolOptions {
  /** The compiled `worker.js`. */
  readonly program: URL
  readonly log: VaultLog
  /** As many as the machine has processors, if absent. */
  readonly threads?: number
}

/**
 * Computes runs in worker threads, which live as long as the pool. A thread that ends takes its own runs along and
 * nothing else; another one takes its place.
 */
export class ThreadPool implements Engine {
  readonly capacity: number
  readonly #threads: Thread[]
  /** As many threads as may make keys: never all, if there are several, so that signatures find one that does not. */
  readonly #forKeygen: number
  #closing = false

  /** Resolves when all threads take runs. */
  static async start(options: PoolOptions): Promise<ThreadPool> {
    const pool = new ThreadPool(options)
    try {
      await Promise.all(pool.#threads.map((thread) => thread.ready))
      return pool
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  private constructor(private readonly options: PoolOptions) {
    const { threads = availableParallelism() } = options
    this.capacity = threads * limits.runs
    this.#forKeygen = Math.max(1, threads >> 1)
    this.#threads = Array.from({ length: threads }, (_, at) => this.#open(at))
  }

  sign(work: SignWork): Promise<Signature[]> {
    return this.#choose(this.#threads).sign(work)
  }

  keygen(work: KeygenWork): Promise<MadeKey> {
    return this.#choose(this.#threads.slice(0, this.#forKeygen)).keygen(work)
  }

  /** Ends the threads at once: to be called when no run is left. Idempotent. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#threads.map((thread) => thread.terminate()))
  }

  /** The one with the least to do. */
  #choose(threads: readonly Thread[]): Pick<Thread, 'sign' | 'keygen'> {
    const [first, ...others] = threads.filter((thread) => thread.isReady)
    if (first === undefined) return noThread
    return others.reduce((least, one) => (one.load < least.load ? one : least), first)
  }

  #open(at: number): Thread {
    const thread = new Thread(this.options.program)
    void this.#replaceAtItsEnd(thread, at)
    return thread
  }

  #isClosing(): boolean {
    return this.#closing
  }

  async #replaceAtItsEnd(thread: Thread, at: number): Promise<void> {
    const started = await thread.ready.then(
      () => true,
      () => false,
    )
    const error = await thread.ended
    if (this.#isClosing()) return
    this.options.log({
      event: 'thread_ended',
      error: error instanceof Error ? error.name : undefined,
    })
    if (!started) await sleep(RESTART_MS, undefined, { ref: false })
    if (!this.#isClosing()) this.#threads[at] = this.#open(at)
  }
}

/** Between the end of all threads and the start of others. */
const noThread: Pick<Thread, 'sign' | 'keygen'> = {
  sign: (work) => refuse(work),
  keygen: (work) => refuse(work),
}

function refuse({ link }: SignWork | KeygenWork): Promise<never> {
  link.leave()
  return Promise.reject(new VaultError('too_busy', 'no thread is free to compute this; try again'))
}
