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
 * @param rounds how often the floor is timed
 */
export function measureCost(rounds: number, samples: Samples): void {
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
    for (let round = 0; round < rounds; round++) samples.add(`floor_${name}_ms`, floorOf(shapes))
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
  const sum = (of: (call: Call) => number) =>
    shapes.reduce((total, { call, count }) => total + count * of(call), 0)
  /** Calls of some functions; one that takes a list counts for each of its items. */
  const callsOf = (listed: Readonly<Record<string, number | undefined>>) =>
    sum(({ name, args }) => {
      if (!(name in listed)) return 0
      const list = listed[name]
      return list === undefined ? 1 : (args[list] as readonly unknown[]).length
    })
  return {
    base_multiplications: callsOf({
      'curve.mulBase': undefined,
      'curve.mulBaseMany': 0,
      'curve.addMulBaseMany': 0,
    }),
    point_multiplications: callsOf({
      'curve.mul': undefined,
      'curve.mulMany': 0,
      'curve.mulByMany': 1,
    }),
    public_multiplications: callsOf({ 'curve.mulPublic': undefined }),
    verifications: callsOf({ 'curve.recover': undefined }),
    points_hashed: callsOf({ 'curve.hashToCurve': undefined, 'curve.hashManyToCurve': 0 }),
    blake3_blocks: sum(blocksOf),
  }
}

const BLOCK = 64
const CHUNK = 1024

/** Bytes of a row's number before the row, of an OT's column, and of the three scalars' worth that it is hashed to. */
const ROW_NUMBER = 4
const COLUMN = 16
const PADS = 3 * 48
const LEAVES = 256
const TREES = 64

/** BLAKE3 compressions of one kernel call, by its inputs' lengths. */
function blocksOf({ name, args }: Call): number {
  const length = (at: number) => (args[at] as Uint8Array).length
  const rows = (count: number, rowLength: number, out: number) =>
    count * compressions(ROW_NUMBER + rowLength, out)
  switch (name) {
    case 'kernel.hash':
      return compressions(length(1), args[2] as number)
    case 'kernel.hashRows':
      return rows(length(1) / (args[2] as number), args[2] as number, args[3] as number)
    case 'kernel.receiverRows': // key, leaves, x
      return rows(LEAVES, length(1) / LEAVES, length(2))
    case 'kernel.senderRows': // key, leaves, Δ, u
      return rows(LEAVES, length(1) / LEAVES, length(3) / TREES)
    case 'kernel.answerMultiplication': // keys, gadget, columns, Δ, inputs, message: both branches of each OT, θ, μ
      return (
        2 * rows(length(2) / COLUMN, COLUMN, PADS) +
        compressions(length(5) + (3 * 32 * length(2)) / COLUMN, 2 * 48) +
        compressions(length(1), 32)
      )
    case 'kernel.finishMultiplication': // keys, gadget, β, columns, message, answer
      return (
        rows(length(3) / COLUMN, COLUMN, PADS) +
        compressions(length(4) + (3 * 32 * length(3)) / COLUMN, 2 * 48) +
        compressions(length(1), 32)
      )
    default:
      return 0
  }
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
