/** Everything that was measured, by name; the unit is the end of the name. */
export class Samples {
  readonly #byName = new Map<string, number[]>()

  add(name: string, ...values: number[]): void {
    const known = this.#byName.get(name)
    if (known === undefined) this.#byName.set(name, [...values])
    else known.push(...values)
  }

  get(name: string): readonly number[] | undefined {
    return this.#byName.get(name)
  }

  entries(): Iterable<readonly [string, readonly number[]]> {
    return this.#byName.entries()
  }
}
