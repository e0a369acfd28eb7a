import { fromBase64 } from './base64.js'
import { binary } from './binary.js'

/** A place in the kernel's memory. */
export type Address = number

/** The functions of mpc/kernel/assembly/index.ts. */
interface Functions {
  readonly memory: { readonly buffer: ArrayBuffer }
  arenaStart(): Address
  transposeBits(from: Address, to: Address, rows: number, columns: number): void
}

/**
 * The kernel's module with its one memory. A call lays its inputs out in the arena, computes, takes the results, and
 * `done` overwrites all of it: nothing stays in this memory between calls, which never overlap, since each is
 * synchronous. The memory never grows, so views stay valid.
 */
export class Machine {
  readonly run: Functions
  readonly #bytes: Uint8Array
  readonly #start: Address
  #next: Address

  /** @throws where WebAssembly, or its vector instructions, are missing or forbidden */
  constructor() {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(fromBase64(binary)))
    this.run = instance.exports as Functions
    this.#bytes = new Uint8Array(this.run.memory.buffer)
    this.#start = this.run.arenaStart()
    this.#next = this.#start
  }

  /** Room for `length` bytes, at a multiple of 16; what is in it is zero. */
  room(length: number): Address {
    const at = this.#next
    this.#next = (at + length + 15) & ~15
    if (this.#next > this.#bytes.length) throw new RangeError('too much for the kernel at once')
    return at
  }

  /** Copies bytes in. */
  put(bytes: Uint8Array): Address {
    const at = this.room(bytes.length)
    this.#bytes.set(bytes, at)
    return at
  }

  /** Copies bytes out. */
  take(at: Address, length: number): Uint8Array {
    return this.#bytes.slice(at, at + length)
  }

  /** Ends a call: overwrites all that was laid out. */
  done(): void {
    this.#bytes.fill(0, this.#start, this.#next)
    this.#next = this.#start
  }
}
