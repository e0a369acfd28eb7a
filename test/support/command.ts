import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { run } from '../../src/cli/program.js'

const program = join(import.meta.dirname, '../../dist/cli/main.js')

interface Where {
  readonly folder: string
  /** Settings of the server. */
  readonly settings?: Readonly<Record<string, string>>
}

/** Runs the built `vertex` command in a process of its own. */
export function vertexCommand(words: readonly string[], { folder, settings = {} }: Where) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...settings },
    encoding: 'utf8',
    timeout: 120_000,
  })
  return { status, stdout, stderr }
}

/** The same inside of this process, which is faster; one at a time. */
export async function vertexHere(words: readonly string[], { folder, settings = {} }: Where) {
  const written = { stdout: '', stderr: '' }
  const into = (name: keyof typeof written) => ({
    write: (text: string) => (written[name] += text),
  })
  const before = process.cwd()
  process.chdir(folder)
  try {
    const surroundings = {
      stdout: into('stdout'),
      stderr: into('stderr'),
      stdin: (async function* () {})(),
      // The default of this one is that of the folder in which the process began.
      env: { VERTEX_DATA_DIR: join(folder, 'data'), ...settings },
    }
    return { status: await run(words, surroundings, '1.2.3'), ...written }
  } finally {
    process.chdir(before)
  }
}
