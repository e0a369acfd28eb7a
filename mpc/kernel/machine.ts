import { fromBase64 } from './base64.js'
import { binary } from './binary.js'
import type { CurveFunctions } from './curve-functions.js'
import type { SymmetricFunctions } from './symmetric-functions.js'

/** A place in the kernel's memory. */
export type Address = number

/** What mpc/kernel/assembly/index.ts exports: each TypeScript side declares its own functions. */
type Functions = SymmetricFunctions &
  CurveFunctions & {
    readonly memory: { readonly buffer: ArrayBuffer }
    scratchStart(): Address
    arenaStart(): Address
  }

/**
 * The kernel's module with its one memory. A call lays its inputs out in the arena, computes and takes the
 * results; then all of it is overwritten: nothing stays in this memory between calls, which never overlap, since each
 * is synchronous. The memory never grows, so views stay valid.
 */
export class Machine {
  readonly run: Functions
  readonly #bytes: Uint8Array
  readonly #scratch: Address
  readonly #start: Address
  #next: Address

  /** @throws where WebAssembly, or its vector instructions, are missing or forbidden */
  constructor() {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(fromBase64(binary)))
    this.run = instance.exports as Functions
    this.#bytes = new Uint8Array(this.run.memory.buffer)
    this.#scratch = this.run.scratchStart()
    this.#start = this.run.arenaStart()
    this.#next = this.#start
  }

  /** Room for `length` bytes, at a multiple of 16; what is in it is zero. */
  room(length: number): Address {
    const at = this.#next
    // Compared before it is cut to 32 bits; what is no length is too much as well.
    if (!(length >= 0 && at + length <= this.#bytes.length - 15))
      throw new RangeError('too much for the kernel at once')
    this.#next = (at + length + 15) & ~15
    return at
  }

  /** Copies bytes in. */
  put(bytes: Uint8Array): Address {
    const at = this.room(bytes.length)
    this.#bytes.set(bytes, at)
    return at
  }

  /** Copies bytes to where there is room for them. */
  set(at: Address, bytes: Uint8Array): void {
    this.#bytes.set(bytes, at)
  }

  /** Copies bytes out. */
  take(at: Address, length: number): Uint8Array {
    return this.#bytes.slice(at, at + length)
  }

  /** Copies rows out, `length` bytes of every `step`. */
  takeRows(at: Address, step: number, count: number, length: number): Uint8Array {
    const out = new Uint8Array(count * length)
    for (let r = 0; r < count; r++)
      out.set(this.#bytes.subarray(at + r * step, at + r * step + length), r * length)
    return out
  }

  /** One call: when `work` ends, however it ends, all that was laid out is overwritten. */
  call<T>(work: () => T): T {
    if (this.#next !== this.#start) throw new Error('calls into the kernel do not overlap')
    try {
      return work()
    } finally {
      this.#bytes.fill(0, this.#scratch, this.#next)
      this.#next = this.#start
    }
  }
}

let machine: Machine | 'none' | undefined

/**
 * The one machine of this process (of this thread), made when it is first asked for; undefined where WebAssembly, or
 * its vector instructions, are missing or forbidden.
 */
export function theMachine(): Machine | undefined {
  machine ??= makeMachine() ?? 'none'
  return machine === 'none' ? undefined : machine
}

function makeMachine(): Machine | undefined {
  try {
    return new Machine()
  } catch {
    return undefined
  }
}
