import { CommandError, type Exit } from './output.js'
import { commandErrorOf } from './server.js'

/** What became of one of several things a command was to do. */
export type Outcome<T> = { readonly done: T } | { readonly error: CommandError }

/**
 * Does one thing after the other; one that fails does not stop the rest, unless the failure would be everyone's.
 * @throws CommandError when the key is not accepted; what is not expected
 */
export async function eachInTurn<Item, T>(
  items: readonly Item[],
  work: (item: Item) => Promise<T>,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = []
  for (const item of items) {
    try {
      outcomes.push({ done: await work(item) })
    } catch (error) {
      const known = await commandErrorOf(error)
      if (known === undefined || known.exit === 'denied') throw known ?? error
      outcomes.push({ error: known })
    }
  }
  return outcomes
}

/**
 * Ends a command of which some things failed, after its result was written: `unavailable` where trying again helps all
 * of them.
 */
export function endWith(outcomes: readonly Outcome<unknown>[], code: string, what: string): void {
  const errors = outcomes.flatMap((one) => ('error' in one ? [one.error] : []))
  if (errors.length === 0) return
  const exit: Exit = errors.every((error) => error.exit === 'unavailable')
    ? 'unavailable'
    : 'failed'
  throw new CommandError(exit, code, `${errors.length} of ${outcomes.length} ${what}`)
}
