import { DeadlineError } from './errors.js'

/** One deadline over everything that a call does, with a signal for whatever can be cancelled. */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #timer: ReturnType<typeof setTimeout>
  readonly #endsAt: number
  readonly #unlink: () => void

  /** @param outer the caller's own signal; its abort ends the work too */
  constructor(milliseconds: number, outer?: AbortSignal) {
    this.#endsAt = Date.now() + milliseconds
    this.#timer = setTimeout(
      () =>
        this.#controller.abort(new DeadlineError('deadline_exceeded', 'the deadline has passed')),
      milliseconds,
    )
    const abort = () => this.#controller.abort(outer?.reason)
    if (outer?.aborted === true) abort()
    else outer?.addEventListener('abort', abort, { once: true })
    this.#unlink = () => outer?.removeEventListener('abort', abort)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Ends the work before its time. */
  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  /** Milliseconds left, at least 0. */
  get remaining(): number {
    return Math.max(0, this.#endsAt - Date.now())
  }

  /** Waits for the work, but not beyond the deadline. @throws DeadlineError */
  within<T>(work: Promise<T>): Promise<T> {
    return withSignal(work, this.signal)
  }

  /** Ends the timer. What was started under this deadline goes on undisturbed. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#unlink()
  }
}

/** Waits for the work, but gives up with the signal's reason when it aborts. The work itself is not stopped. */
export function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      reject(asError(signal.reason))
    }
    const settled = () => {
      signal.removeEventListener('abort', stop)
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    // Whichever comes second finds the promise settled.
    work.then(resolve, reject)
    work.then(settled, settled)
  })
}

/** Runs work under a deadline and ends the timer with it. */
export async function withDeadline<T>(
  milliseconds: number,
  outer: AbortSignal | undefined,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const deadline = new Deadline(milliseconds, outer)
  try {
    return await deadline.within(work(deadline))
  } finally {
    deadline.clear()
  }
}

/** A thrown value as an Error, whatever it was. */
export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}
