// Loaded into a server by `node --import`, before the product: counts the statements that it gives to its database, kills
// the process around one of them, and moves its clock. The product has no part in this and does not know of it.
import { AsyncLocalStorage } from 'node:async_hooks'
import { appendFileSync, readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { CONTROL_VARIABLE, statementsFile, type Control } from './control.js'

const file = process.env[CONTROL_VARIABLE]
// Worker threads compute and have no database; their clock is not asked for anything that lasts.
if (isMainThread && file !== undefined) {
  const { default: Database } = await import('better-sqlite3')
  const { default: pg } = await import('pg')
  install(file, Database, pg)
}

type Method = (this: unknown, ...args: unknown[]) => unknown

function install(
  controlFile: string,
  Database: typeof import('better-sqlite3'),
  pg: { readonly Client: { readonly prototype: object } },
): void {
  let control: Control = { id: 0 }
  let counted = 0
  let broken = false

  const look = () => {
    const text = readFileSync(controlFile, 'utf8')
    const now = JSON.parse(text) as Control
    if (now.id !== control.id) {
      counted = 0
      broken = false
    }
    control = now
  }
  look()

  const clock = Date.now.bind(Date)
  Date.now = () => clock() + (control.clockMs ?? 0)
  setInterval(look, 20).unref()
  /** What the server does at times of its own, such as continuing the directory's log, belongs to no operation. */
  const byItself = new AsyncLocalStorage<true>()

  /** What is to happen to one statement. */
  const counts = (sql: string) => {
    look()
    // No seed decides when; the lease asks by timers of other kinds too.
    if (byItself.getStore() === true || /\bleases\b/.test(sql)) return { dies: () => false, sql }
    const number = ++counted
    appendFileSync(
      statementsFile(controlFile),
      `${control.id} ${number} ${sql.replaceAll(/\s+/g, ' ').slice(0, 80)}\n`,
    )
    const { kill } = control
    // One of a request: what the server does at times of its own answers nobody.
    if (control.plant === 'break' && !broken && /^\s*INSERT INTO "?pending_keys\b/i.test(sql)) {
      broken = true
      throw new TypeError('planted')
    }
    return {
      dies: (when: string) => kill?.at === number && kill.when === when,
      sql: control.plant === 'forget' && /^\s*COMMIT/i.test(sql) ? 'ROLLBACK' : sql,
    }
  }
  const die = () => process.kill(process.pid, 'SIGKILL')

  const replace = (holder: object, name: string, around: (original: Method) => Method) => {
    const methods = holder as Record<string, Method>
    methods[name] = around(methods[name]!)
  }
  replace(
    globalThis,
    'setInterval',
    (every) =>
      (work, ms, ...args) =>
        every(() => byItself.run(true, work as () => unknown, ...(args as [])), ms),
  )

  const connection = new Database(':memory:')
  const statement = Object.getPrototypeOf(connection.prepare('SELECT 1')) as object
  connection.close()
  for (const name of ['run', 'get', 'all'])
    replace(
      statement,
      name,
      (original) =>
        function (...args) {
          const { source, database } = this as {
            readonly source: string
            readonly database: import('better-sqlite3').Database
          }
          const { dies, sql } = counts(source)
          if (control.plant === 'unsynced' && /^\s*BEGIN/i.test(sql))
            database.exec('PRAGMA synchronous = OFF')
          if (dies('before')) die()
          const result =
            sql === source
              ? original.apply(this, args)
              : original.apply(database.prepare(sql), args)
          if (dies('sent') || dies('after')) die()
          return result
        },
    )

  replace(
    pg.Client.prototype,
    'query',
    (original) =>
      function (...args) {
        const [first] = args
        const text =
          typeof first === 'string'
            ? first
            : (first as { readonly text?: unknown } | undefined)?.text
        if (typeof text !== 'string') return original.apply(this, args)
        const { dies, sql } = counts(text)
        if (typeof first === 'string') args[0] = sql
        if (dies('before')) die()
        const done = () => {
          if (dies('after')) die()
        }
        const callback = args.at(-1)
        if (typeof callback === 'function')
          args[args.length - 1] = (...answer: unknown[]) => {
            done()
            ;(callback as (...answer: unknown[]) => void)(...answer)
          }
        const result = original.apply(this, args)
        if (dies('sent')) die()
        return result instanceof Promise
          ? result.then((answer: unknown) => {
              done()
              return answer
            })
          : result
      },
  )
}
