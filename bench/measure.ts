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

/**
 * Times contenders side by side: the same CPU time of warming up for each, since compilers get better while they run,
 * then round after round in turn, so that whatever else the machine does hits all of them alike. Answers the samples
 * (ms of CPU) by name.
 */
export async function interleave(
  contenders: readonly Contender[],
  warmUpMs: number,
  progress: (done: number, total: number) => void,
): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>()
  for (const contender of contenders) {
    for (let spent = 0; spent < warmUpMs;) {
      const prepared = await contender.prepare?.()
      spent += (await cpuMs(() => contender.run(prepared))).ms
    }
    samples.set(contender.name, [])
  }
  const total = Math.max(...contenders.map((contender) => contender.rounds))
  for (let round = 0; round < total; round++) {
    progress(round, total)
    for (const contender of contenders) {
      if (round >= contender.rounds) continue
      const prepared = await contender.prepare?.()
      const { ms } = await cpuMs(() => contender.run(prepared))
      samples.get(contender.name)!.push(ms)
    }
  }
  return samples
}
