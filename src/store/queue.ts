/** Runs jobs one after the other, in the order they came. A failed job does not stop the next one. */
export class FifoQueue {
  #tail: Promise<unknown> = Promise.resolve()

  add<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job)
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Resolves when every job added so far has ended. */
  async idle(): Promise<void> {
    await this.#tail
  }
}
