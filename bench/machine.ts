import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { Suite } from '@vertex/mpc'

/** Where and with what it was measured. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory_gib: number
  readonly node: string
  readonly arch: string
  readonly date: string
  /** Which backends did our work: native suite, portable suite. */
  readonly curve: string
  readonly kernel: string
  readonly portable_curve: string
  /** Versions of the rivals, where they took part. */
  readonly rivals: Readonly<Record<string, string>>
}

export function describeMachine(native: Suite, portable: Suite, rivals: boolean): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    arch: process.arch,
    date: new Date().toISOString().slice(0, 10),
    curve: native.curve.name,
    kernel: native.kernel.name,
    portable_curve: portable.curve.name,
    rivals: rivals ? rivalVersions() : {},
  }
}

function rivalVersions(): Record<string, string> {
  const file = new URL('../../bench/rivals/package.json', import.meta.url)
  const { dependencies } = JSON.parse(readFileSync(file, 'utf8')) as {
    dependencies: Record<string, string>
  }
  return dependencies
}
