import { randomBytes } from 'node:crypto'
import { Session, type Profiler } from 'node:inspector/promises'
import type { Suite } from '@vertex/mpc'
import { cpuMs } from './measure.js'
import { keygenWithSetups, sign, suites } from './protocol.js'
import { median } from './statistics.js'
import { stepsOf } from './steps.js'
import { watched } from './watch.js'

/**
 * Where the time of a 2-of-2 signature goes, both parties in this process: by step of the spec and by primitive, from
 * watching every call of a primitive with its stack; and by function for what lies between, from V8's sampler. The
 * protocol's code knows nothing of it: it cites its steps, and the stack leads to the citations.
 */
export async function profileSigning(
  progress: (what: string) => void,
  signatures = 200,
): Promise<string> {
  const suite = suites.native()
  const key = keygenWithSetups(suite, 2, 2)
  const digest = Uint8Array.from(randomBytes(32))
  const run = (with_: Suite) => sign(with_, key, 2, digest)
  progress('warming up')
  for (let i = 0; i < signatures; i++) run(suite)

  progress('signing')
  const whole: number[] = []
  for (let i = 0; i < signatures; i++) whole.push((await cpuMs(() => run(suite))).ms)
  const total = median(whole)

  progress('signing, watched')
  const bySteps = new Table()
  const byPrimitive = new Table()
  Error.stackTraceLimit = 40
  const stepsOfStack = new Map<string, string>()
  const watching = watched(suite, ({ name, ms }) => {
    const { stack = '' } = new Error()
    let steps = stepsOfStack.get(stack)
    if (steps === undefined) stepsOfStack.set(stack, (steps = stepsOf(stack)))
    byPrimitive.add(name, ms)
    bySteps.add(`${steps === '' ? 'no step named' : steps}\t${name}`, ms)
  })
  for (let i = 0; i < signatures; i++) run(watching)
  Error.stackTraceLimit = 10

  progress('signing, sampled')
  const between = await sample(() => {
    for (let i = 0; i < signatures; i++) run(suite)
  })

  const inPrimitives = byPrimitive.totalMs / signatures
  return [
    `One 2-of-2 signature, both parties: ${total.toFixed(3)} ms of CPU (median of ${signatures}; curve ${suite.curve.name}, kernel ${suite.kernel.name})`,
    `in primitives ${inPrimitives.toFixed(3)} ms; between them ${Math.max(0, total - inPrimitives).toFixed(3)} ms`,
    '',
    ...bySteps.lines(['step', 'primitive'], signatures),
    '',
    ...byPrimitive.lines(['primitive'], signatures),
    '',
    ...between.lines(['between primitives'], signatures, 20),
    '',
  ].join('\n')
}

/** Time and calls by name. */
class Table {
  readonly #rows = new Map<string, { ms: number; calls: number }>()
  totalMs = 0

  add(name: string, ms: number): void {
    const row = this.#rows.get(name) ?? { ms: 0, calls: 0 }
    row.ms += ms
    row.calls++
    this.#rows.set(name, row)
    this.totalMs += ms
  }

  /** Dearest first. A tab in a name begins the next column. */
  lines(titles: readonly string[], runs: number, most = Infinity): string[] {
    const rows = [...this.#rows]
      .sort(([, a], [, b]) => b.ms - a.ms)
      .slice(0, most)
      .map(([name, { ms, calls }]) => [
        ...name.split('\t'),
        (calls / runs).toFixed(1),
        (ms / runs).toFixed(4),
        `${((100 * ms) / this.totalMs).toFixed(1)} %`,
      ])
    const all = [[...titles, 'calls', 'ms', 'share'], ...rows]
    const widths = all[0]!.map((_, at) => Math.max(...all.map((row) => row[at]!.length)))
    return all.map((row) =>
      row
        .map((cell, at) =>
          at < titles.length ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!),
        )
        .join('  '),
    )
  }
}

/** Own time of every function outside the primitives, as V8's sampler saw it; a "call" is a sample. */
async function sample(work: () => void): Promise<Table> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()

  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map<number, number>()
  for (const node of profile.nodes)
    for (const child of node.children ?? []) parents.set(child, node.id)
  const isPrimitive = (node: Profiler.ProfileNode | undefined): boolean =>
    node !== undefined &&
    (/\/mpc\/dist\/(?:kernel|native|src\/kernel|src\/curve)\/|@noble|^wasm:/.test(
      node.callFrame.url,
    ) ||
      isPrimitive(nodes.get(parents.get(node.id) ?? -1)))
  const table = new Table()
  for (const [at, id] of (profile.samples ?? []).entries()) {
    const node = nodes.get(id)
    if (node === undefined || isPrimitive(node)) continue
    const { functionName, url } = node.callFrame
    if (functionName === 'dispatch' && url === '') continue // the sampler's own
    const file = url.replace(/^.*\/(?:mpc\/dist\/src|dist-tools)\//, '')
    const name = `${functionName === '' ? '(anonymous)' : functionName}${file === '' ? '' : ` in ${file}`}`
    table.add(name, (profile.timeDeltas?.[at] ?? 0) / 1000)
  }
  return table
}
