import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import type { Answer, Question } from './reader.js'

const root = join(import.meta.dirname, '../../..')

export interface Reader {
  ask(question: Question): Promise<Answer>
  close(): Promise<void>
}

/** Starts the reader in a process with this environment on top of a bare one, so that nothing of the machine leaks in. */
export async function startReader(env: Readonly<Record<string, string>>): Promise<Reader> {
  // Inside the repository, so that the bundle finds the packages it leaves out.
  const directory = join(root, 'node_modules/.cache/vertex-test')
  mkdirSync(directory, { recursive: true })
  const outfile = join(directory, `reader-${process.pid}-${Date.now()}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, 'reader.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    alias: { '@vertex/mpc': join(root, 'mpc/src/index.ts') },
    logLevel: 'silent',
  })
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [outfile], {
    env: { PATH, HOME, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(question) {
      child.stdin.write(JSON.stringify(question) + '\n')
      const line = await lines.next()
      if (line.done === true) throw new Error('the reader has ended')
      return JSON.parse(line.value) as Answer
    },
    async close() {
      // Not by the end of its input: a request that is never answered would hold it.
      child.kill('SIGKILL')
      await exited
      rmSync(outfile, { force: true })
    },
  }
}
