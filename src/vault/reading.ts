import { wipe } from '@vertex/mpc'
import type { SigningRead } from './ports.js'

/**
 * What was read for a signature, and whether it can still be believed when the run begins. Between the two this process
 * may have retired the setup or deleted the key; whoever is in the run by then is told, whoever is not reads again.
 */
export class Reading {
  #latest: { readonly read: SigningRead; readonly changes: number } | undefined

  /** @param changes a count that grows whenever something that was read may have changed here */
  constructor(
    private readonly read: () => Promise<SigningRead>,
    private readonly changes: () => number,
  ) {}

  /** Before the run: to know which share it is about. */
  async begin(): Promise<SigningRead> {
    const changes = this.changes()
    const read = await this.read()
    this.end()
    this.#latest = { read, changes }
    return read
  }

  /** In the run, when it can be killed: what counts from here on. */
  async current(waited: boolean): Promise<SigningRead> {
    if (waited) await this.begin()
    while (this.#latest?.changes !== this.changes()) await this.begin()
    return this.#latest.read
  }

  /** Overwrites the secrets that nobody took over. */
  end(): void {
    if (this.#latest === undefined) return
    const { record, setups } = this.#latest.read
    for (const secret of [record, ...setups.map((setup) => setup.record)])
      // Without bytes: it went to another thread.
      if (secret.length > 0) wipe(secret)
  }
}
