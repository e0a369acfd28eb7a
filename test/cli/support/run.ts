import { run } from '../../../src/cli/program.js'

/** Runs one command line and gives what it wrote. */
export async function vertex(words: readonly string[], stdin = '') {
  const written = { stdout: '', stderr: '' }
  const into = (name: keyof typeof written) => ({
    write: (text: string) => (written[name] += text),
  })
  const exit = await run(
    words,
    {
      stdout: into('stdout'),
      stderr: into('stderr'),
      stdin: (async function* () {
        yield await Promise.resolve(stdin)
      })(),
      env: {},
    },
    '1.2.3',
  )
  return { exit, ...written }
}
