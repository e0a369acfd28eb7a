import type { RoomLink } from '@vertex/mpc'
import { Lifeline } from './engine.js'
import { VaultError } from './errors.js'
import { limits } from './limits.js'

/** What a keygen works on, before there is a share. */
export const keygenSubject = (keyId: string) => `key ${keyId}`

/** One protocol run of this process: what it works on, and the way to end it from outside. */
export class Run {
  /** Cut when the run is ended from outside, for the thread that computes it. */
  readonly life = new Lifeline()
  #link: RoomLink | undefined
  #killedBy: VaultError | undefined

  /**
   * @param subject the share's id, or {@link keygenSubject}
   * @param waited whether it had to wait for its turn
   */
  constructor(
    readonly subject: string,
    readonly waited: boolean,
  ) {}

  /** Why the run was ended from outside; whatever it computed must not be answered. */
  get killedBy(): VaultError | undefined {
    return this.#killedBy
  }

  /** @throws VaultError when the run was ended while it was joining */
  joined(link: RoomLink): void {
    if (this.#killedBy !== undefined) {
      link.leave()
      throw this.#killedBy
    }
    this.#link = link
  }

  /** Ends the run: its room is left, so nothing more is sent. The first reason stays. */
  kill(reason: VaultError): void {
    this.#killedBy ??= reason
    this.life.cut()
    this.#link?.leave()
  }

  /** The room is left, whatever happened. */
  end(): void {
    this.#link?.leave()
  }
}

interface Subject {
  active: number
  readonly waiting: (() => void)[]
}

/**
 * The runs of this process. Caps how many work on one share at a time (each may observe one failed check before it is
 * stopped) and how many one user has, and drains.
 */
export class Runs {
  readonly #running = new Set<Run>()
  readonly #subjects = new Map<string, Subject>()
  /** How many each user has, those that wait included. */
  readonly #users = new Map<string, number>()
  #count = 0
  #kills = 0
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined

  /** @param capacity how many there may be at one time, those that wait included */
  constructor(private readonly capacity: number = limits.runs) {}

  get usage(): { running: number; waiting: number; capacity: number } {
    let waiting = 0
    for (const subject of this.#subjects.values()) waiting += subject.waiting.length
    return { running: this.#running.size, waiting, capacity: this.capacity }
  }

  /** How often runs were killed: what was read before another count may have changed. */
  get kills(): number {
    return this.#kills
  }

  /**
   * Runs `work` as soon as the subject has a free slot.
   * @param size for how many it counts: a long batch holds as much memory as several runs
   * @throws VaultError `rate_limited` when too many runs are this user's or want this subject, `too_busy` when the process is full or
   * stopping, the reason for which the run was killed, and whatever `work` throws
   */
  async within<T>(
    userId: string,
    subject: string,
    work: (run: Run) => Promise<T>,
    size = 1,
  ): Promise<T> {
    if (this.#closing !== undefined) throw stopping()
    const own = this.#users.get(userId) ?? 0
    if (own + size > limits.runsPerUser) throw tooManyOfUser()
    if (this.#count + size > this.capacity)
      throw new VaultError('too_busy', 'the server has as many runs as it can take; try again')
    this.#count += size
    this.#users.set(userId, own + size)
    try {
      const waited = await this.#enter(subject)
      const run = new Run(subject, waited)
      this.#running.add(run)
      try {
        const result = await work(run)
        if (run.killedBy !== undefined) throw run.killedBy
        return result
      } catch (e) {
        throw run.killedBy ?? e
      } finally {
        run.end()
        this.#running.delete(run)
        this.#leave(subject)
      }
    } finally {
      this.#count -= size
      this.#dropOf(userId, size)
      if (this.#count === 0) this.#idle?.()
    }
  }

  /** Ends all runs on a subject. */
  killAll(subject: string, reason: VaultError): void {
    this.#kills++
    for (const run of this.#running) if (run.subject === subject) run.kill(reason)
  }

  /** Takes no more runs, waits for those under way for at most `graceMs`, then ends them. Idempotent. */
  close(graceMs: number = limits.drainMs): Promise<void> {
    this.#closing ??= this.#drain(graceMs)
    return this.#closing
  }

  async #drain(graceMs: number): Promise<void> {
    // Those that wait for a slot find out when they get it.
    for (const subject of this.#subjects.values())
      for (const wake of subject.waiting.splice(0)) wake()
    if (this.#count === 0) return
    const idle = new Promise<void>((resolve) => (this.#idle = resolve))
    const timer = setTimeout(() => {
      for (const run of this.#running) run.kill(stopping())
    }, graceMs)
    await idle
    clearTimeout(timer)
  }

  /** Answers whether it had to wait. */
  async #enter(name: string): Promise<boolean> {
    let subject = this.#subjects.get(name)
    if (subject === undefined) this.#subjects.set(name, (subject = { active: 0, waiting: [] }))
    if (subject.active < limits.runsPerShare) {
      subject.active++
      return false
    }
    if (subject.waiting.length >= limits.waitingPerShare) throw tooMany()
    await waitTurn(subject)
    if (this.#closing !== undefined) throw stopping()
    return true
  }

  #dropOf(userId: string, size: number): void {
    const left = this.#users.get(userId)! - size
    if (left > 0) this.#users.set(userId, left)
    else this.#users.delete(userId)
  }

  #leave(name: string): void {
    const subject = this.#subjects.get(name)!
    const next = subject.waiting.shift()
    if (next !== undefined) {
      next() // the slot goes over to the next one
      return
    }
    subject.active--
    if (subject.active === 0) this.#subjects.delete(name)
  }
}

/** Resolves when a slot was handed over (or the process stops). */
function waitTurn(subject: Subject): Promise<void> {
  return new Promise((resolve, reject) => {
    const wake = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      subject.waiting.splice(subject.waiting.indexOf(wake), 1)
      reject(tooMany())
    }, limits.waitMs)
    subject.waiting.push(wake)
  })
}

const stopping = () => new VaultError('too_busy', 'the server is stopping; try again')

const tooMany = () =>
  new VaultError(
    'rate_limited',
    `at most ${limits.runsPerShare} runs work on one key at a time; try again`,
    { retry_after: 1 },
  )

const tooManyOfUser = () =>
  new VaultError(
    'rate_limited',
    `at most ${limits.runsPerUser} runs of one user at a time; try again`,
    { retry_after: 1 },
  )
