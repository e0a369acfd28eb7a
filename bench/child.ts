import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

type Reply = { readonly value: unknown } | { readonly error: string }

/** Another process of the benchmark: does one task at a time, and answers it. */
export interface Child {
  readonly pid: number
  ask<Value>(task: string, input?: unknown): Promise<Value>
  end(): Promise<void>
}

/** Starts a program of this folder that serves tasks. @param program such as `client-process` */
export function startChild(program: string): Child {
  const child = fork(fileURLToPath(new URL(`./${program}.js`, import.meta.url)))
  const exited = once(child, 'exit')
  const kill = () => child.kill()
  process.once('exit', kill)
  return {
    pid: child.pid!,
    async ask<Value>(task: string, input?: unknown): Promise<Value> {
      child.send({ task, input })
      const ended = exited.then(([code]) => {
        throw new Error(`${program} ended with ${String(code)}`)
      })
      const [reply] = (await Promise.race([once(child, 'message'), ended])) as [Reply]
      if ('error' in reply) throw new Error(`${program}, ${task}: ${reply.error}`)
      return reply.value as Value
    },
    async end() {
      process.off('exit', kill)
      child.kill()
      await exited
    },
  }
}

/** The other side of {@link startChild}: what this process can be asked. */
export function serveTasks(
  tasks: Readonly<Record<string, (input: never) => Promise<unknown>>>,
): void {
  process.on('message', ({ task, input }: { task: string; input: never }) => {
    const answer = (reply: Reply) => process.send!(reply)
    tasks[task]!(input).then(
      (value) => answer({ value }),
      (error: unknown) =>
        answer({ error: error instanceof Error ? (error.stack ?? '') : String(error) }),
    )
  })
  process.on('disconnect', () => process.exit())
}
