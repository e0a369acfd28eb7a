import type { Suite } from '@vertex/mpc'

/** One call of a primitive: of the curve, the symmetric kernel, or the channel's ciphers. */
export interface Call {
  /** Such as `curve.mul`. */
  readonly name: string
  /** As they were before the call; bytes are copies. */
  readonly args: readonly unknown[]
  /** Of CPU. */
  readonly ms: number
  /** Runs the same primitive again. */
  readonly again: (args: readonly unknown[]) => unknown
}

/**
 * The suite with every call of a primitive noted, from outside: the protocol gets all its primitives as parameters, so
 * nothing in it has to know. What a primitive does within itself is not noted again.
 */
export function watched(suite: Suite, note: (call: Call) => void): Suite {
  const wrap = <Part extends object>(part: string, of: Part): Part => {
    const wrapped: Record<string, unknown> = {}
    for (const [name, member] of Object.entries(of) as [string, unknown][]) {
      if (typeof member !== 'function') {
        wrapped[name] = member
        continue
      }
      const again = (args: readonly unknown[]): unknown => Reflect.apply(member, of, args)
      wrapped[name] = (...args: unknown[]) => {
        const before = args.map((arg) => (arg instanceof Uint8Array ? arg.slice() : arg))
        const from = process.cpuUsage()
        const value = again(args)
        const { user, system } = process.cpuUsage(from)
        const ms = (user + system) / 1000
        note({ name: `${part}.${name}`, args: before, ms, again })
        return value
      }
    }
    return wrapped as Part
  }
  return {
    ...suite,
    curve: wrap('curve', suite.curve),
    kernel: wrap('kernel', suite.kernel),
    channel: wrap('channel', suite.channel),
  }
}
