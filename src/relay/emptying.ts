/** Lets whoever closes wait a while until the last room has ended by itself. */
export class Emptying {
  #onEmpty: (() => void) | undefined

  /** Resolves with {@link done}, and after `graceMs` at the latest. */
  wait(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs)
      this.#onEmpty = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** No room is open any more. */
  done(): void {
    this.#onEmpty?.()
  }
}
