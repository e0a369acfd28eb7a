/** Milliseconds of CPU (user and system) this process spent on `work`. */
export async function cpuMs<T>(work: () => T | Promise<T>): Promise<{ value: T; ms: number }> {
  const before = process.cpuUsage()
  const value = await work()
  const used = process.cpuUsage(before)
  return { value, ms: (used.user + used.system) / 1000 }
}

/** One thing to time: `run` does the work once, on what the untimed `prepare` made. */
export interface Contender {
  readonly name: string
  readonly rounds: number
  prepare?(): unknown
  run(prepared: unknown): unknown
}

/** CPU time of one turn, so that what a contender leaves to the collector is its own to pay. */
const TURN_MS = 50

/**
 * Times contenders side by side: the same CPU time of warming up for each, since compilers get better while they run,
 * then turn after turn, so that whatever else the machine does hits all of them alike. A turn is as many runs as take
 * some time together. Answers the samples (ms of CPU of one run) by name.
 */
export async function interleave(
  contenders: readonly Contender[],
  warmUpMs: number,
  progress: (done: number, total: number) => void,
): Promise<Map<string, number[]>> {
  const runs = new Map<string, number>()
  const samples = new Map<string, number[]>()
  for (const contender of contenders) {
    let last = Infinity
    for (let spent = 0; spent < warmUpMs; spent += last) last = await turn(contender, 1)
    runs.set(contender.name, Math.max(1, Math.round(TURN_MS / last)))
    samples.set(contender.name, [])
  }
  const total = Math.max(...contenders.map((contender) => contender.rounds))
  for (let round = 0; round < total; round++) {
    progress(round, total)
    for (const contender of contenders) {
      if (round >= contender.rounds) continue
      const times = runs.get(contender.name)!
      samples.get(contender.name)!.push((await turn(contender, times)) / times)
    }
  }
  return samples
}

async function turn(contender: Contender, times: number): Promise<number> {
  const prepared: unknown[] = []
  for (let i = 0; i < times; i++) prepared.push(await contender.prepare?.())
  const { ms } = await cpuMs(async () => {
    for (const each of prepared) await contender.run(each)
  })
  return ms
}
