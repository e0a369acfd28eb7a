import { randomBytes } from 'node:crypto'
import type { Suite } from '@vertex/mpc'
import { keygenWithSetups, sign, suites } from './protocol.js'
import type { Samples } from './samples.js'
import { watched, type Call } from './watch.js'

/** A primitive with inputs of one form: how often it is called, and one call to do again. */
interface Shape {
  readonly call: Call
  count: number
}


/**
 * The cost model, counted: what a signature and a keygen (OT setup included) of two ask of the primitives, and the
 * floor that follows, the same calls one after the other in a tight loop with nothing in between.
 */
export function measureCost(samples: Samples): void {
  const suite = suites.native()
  const digest = Uint8Array.from(randomBytes(32))
  const key = keygenWithSetups(suite, 2, 2)
  sign(suite, key, 2, digest) // caches that a pair fills once
  for (const [name, run] of [
    ['sign_2of2', (with_: Suite) => sign(with_, key, 2, digest)],
    ['keygen_2of2', (with_: Suite) => keygenWithSetups(with_, 2, 2)],
  ] as const) {
    const shapes = shapesOf(suite, run)
    for (const [what, count] of Object.entries(countsOf(shapes)))
      samples.add(`${name}_${what}`, count)
    for (let round = 0; round < 3; round++) samples.add(`floor_${name}_ms`, floorOf(shapes))
  }
}

function shapesOf(suite: Suite, run: (suite: Suite) => unknown): Shape[] {
  const shapes = new Map<string, Shape>()
  run(
    watched(suite, (call) => {
      const form = `${call.name} ${call.args.map(formOf).join(' ')}`
      const known = shapes.get(form)
      if (known === undefined) shapes.set(form, { call, count: 1 })
      else known.count++
    }),
  )
  return [...shapes.values()]
}

function formOf(arg: unknown): string {
  if (Array.isArray(arg)) return `[${arg.length}]`
  if (arg instanceof Uint8Array) return String(arg.length)
  return typeof arg === 'number' ? `=${arg}` : typeof arg
}

function countsOf(shapes: readonly Shape[]): Record<string, number> {
  const callsOf = (name: string) =>
    shapes.filter(({ call }) => call.name === name).reduce((sum, { count }) => sum + count, 0)
  const sum = (of: (call: Call) => number) =>
    shapes.reduce((total, { call, count }) => total + count * of(call), 0)
  return {
    base_multiplications: callsOf('curve.mulBase'),
    point_multiplications: callsOf('curve.mul'),
    public_multiplications: callsOf('curve.mulPublic'),
    verifications: callsOf('curve.verify'),
    points_hashed: sum(({ name, args }) =>
      name === 'curve.hashToCurve'
        ? 1
        : name === 'curve.hashManyToCurve'
          ? (args[0] as unknown[]).length
          : 0,
    ),
    blake3_blocks: sum(blocksOf),
  }
}

const BLOCK = 64
const CHUNK = 1024

/** BLAKE3 compressions of one kernel call, by its inputs' lengths. */
function blocksOf({ name, args }: Call): number {
  if (name === 'kernel.hash') {
    const [, message, length] = args as [Uint8Array, Uint8Array, number]
    return compressions(message.length, length)
  }
  if (name === 'kernel.hashRows') {
    const [, rows, rowLength, length] = args as [Uint8Array, Uint8Array, number, number]
    return (rows.length / rowLength) * compressions(4 + rowLength, length)
  }
  return 0
}

/** Of the chunks' blocks, of the tree above them, and of output beyond the first block. */
export function compressions(messageLength: number, outputLength: number): number {
  const blocks = Math.max(1, Math.ceil(messageLength / BLOCK))
  const parents = Math.max(1, Math.ceil(messageLength / CHUNK)) - 1
  return blocks + parents + Math.max(1, Math.ceil(outputLength / BLOCK)) - 1
}

/** Milliseconds of CPU of all calls, each repeated on its own until that can be measured. */
function floorOf(shapes: readonly Shape[]): number {
  return shapes.reduce((sum, { call, count }) => sum + count * alone(call), 0)
}

const MEASURABLE_MS = 4

function alone({ again, args }: Call): number {
  again(args)
  for (let times = 1; ; times *= 2) {
    const before = process.cpuUsage()
    for (let i = 0; i < times; i++) again(args)
    const { user, system } = process.cpuUsage(before)
    const ms = (user + system) / 1000
    if (ms >= MEASURABLE_MS) return ms / times
  }
}
