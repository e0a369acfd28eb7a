import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../bench/rivals/', import.meta.url))

export interface DklsWasmLl {
  keygen(parties: number, threshold: number): Uint8Array[]
  load(shares: readonly Uint8Array[]): unknown
  sign(shares: unknown, digest: Uint8Array): unknown
}

export interface TssDklsLib {
  setUp(): Promise<unknown>
  sign(key: unknown, digest: Uint8Array): Promise<unknown>
}

export interface Rivals {
  readonly dklsWasmLl: DklsWasmLl
  readonly tssDklsLib: TssDklsLib
}

/**
 * Loads the rivals, installing them on first use. They are not open source, so they live in a folder of their own
 * and are never a dependency of ours.
 */
export async function loadRivals(): Promise<Rivals> {
  if (!existsSync(`${folder}node_modules`))
    execFileSync(
      'npm',
      ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'],
      { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] },
    )
  return {
    dklsWasmLl: (await import(`${folder}dkls-wasm-ll.mjs`)) as DklsWasmLl,
    tssDklsLib: (await import(`${folder}tss-dkls-lib.mjs`)) as TssDklsLib,
  }
}
