/** Tells a story of timed steps on the terminal: a line while a step runs, a tick and its time when it is done. */
export class Story {
  readonly #terminal = process.stdout.isTTY
  readonly #colours = this.#terminal && process.env['NO_COLOR'] === undefined
  readonly #times: { title: string; ms: number }[] = []

  title(text: string): void {
    process.stdout.write(`\n${this.#paint(1, text)}\n`)
  }

  /** Runs one step; what it answers may add a line of detail. */
  async step<T>(title: string, work: () => Promise<T>, detail?: (value: T) => string): Promise<T> {
    const started = performance.now()
    const frames = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
    let frame = 0
    const spinner = this.#terminal
      ? setInterval(() => {
          const seconds = ((performance.now() - started) / 1000).toFixed(1)
          process.stdout.write(`\r  ${frames[frame++ % frames.length]!} ${title} ${seconds} s`)
        }, 80)
      : undefined
    const clear = () => {
      clearInterval(spinner)
      if (this.#terminal) process.stdout.write('\r\x1b[K')
    }
    try {
      const value = await work()
      const ms = performance.now() - started
      clear()
      this.#times.push({ title, ms })
      process.stdout.write(`  ${this.#paint(32, '✓')} ${title} ${this.#paint(2, shown(ms))}\n`)
      if (detail !== undefined) this.note(detail(value))
      return value
    } catch (error) {
      clear()
      process.stdout.write(`  ${this.#paint(31, '✗')} ${title}\n`)
      throw error
    }
  }

  note(text: string): void {
    for (const line of text.split('\n')) process.stdout.write(`    ${this.#paint(2, line)}\n`)
  }

  /** The table of all steps and what they took. */
  timings(): void {
    const width = Math.max(...this.#times.map(({ title }) => title.length))
    for (const { title, ms } of this.#times)
      process.stdout.write(`  ${title.padEnd(width)}  ${shown(ms).padStart(9)}\n`)
  }

  line(text: string): void {
    process.stdout.write(`  ${text}\n`)
  }

  #paint(code: number, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}

const shown = (ms: number): string =>
  ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`
