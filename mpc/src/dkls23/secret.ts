/**
 * A secret that cannot be printed by accident: string conversion, JSON and Node's inspection all give `[secret]`.
 * The only way to the value is `reveal()`, which is easy to search for in a review.
 */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The value itself. The caller must not log, store in the clear, or keep it longer than needed. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  /** What `util.inspect` and `console.log` show in Node; the symbol is looked up by name, so browsers need nothing. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}
