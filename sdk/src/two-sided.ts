import { RoomClosed, RunFailed, type RoomLink } from '@vertex/mpc'
import { Deadline } from './deadline.js'
import { DeadlineError, KeyNotFoundError, UnavailableError } from './errors.js'
import { runError } from './run-error.js'

/** How long the other side's answer is waited for when this side has failed: it often knows the reason. */
const GRACE_MS = 2_000
/** The room is given up this long before the deadline, so that there is time to say who was missing. */
const MARGIN_MS = 500

const marginOf = ({ remaining }: Deadline) => Math.min(MARGIN_MS, remaining / 4)

/** A request to one Vertex failed; `at` is the Vertex's place in the list. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed'
  constructor(
    readonly at: number,
    readonly error: Error,
  ) {
    super(error.message)
  }
}

/**
 * Runs both sides of an operation: this party in the room, and one HTTP request to each Vertex that joins it. A request
 * that fails ends the room at once.
 * @param calls starts the requests; each is given the signal of the deadline
 * @throws CallFailed with the first request's error, or the error of this side
 */
export async function bothSides<Result>(
  deadline: Deadline,
  join: (signal: AbortSignal) => Promise<RoomLink>,
  run: (link: RoomLink) => Promise<Result>,
  calls: readonly ((signal: AbortSignal) => Promise<unknown>)[],
): Promise<{ result: Result; answers: Promise<unknown[]> }> {
  const room = new Deadline(deadline.remaining - marginOf(deadline), deadline.signal)
  const failed: CallFailed[] = []
  const answers = calls.map((call, at) =>
    call(deadline.signal).catch((error: unknown) => {
      const failure = new CallFailed(at, error instanceof Error ? error : new Error(String(error)))
      failed.push(failure)
      room.abort(failure)
      throw failure
    }),
  )
  const all = Promise.all(answers)
  all.catch(() => undefined) // whoever asks for the answers sees it; nobody has to ask
  const settled = Promise.allSettled(answers)
  try {
    const link = await join(room.signal)
    try {
      return { result: await run(link), answers: all }
    } finally {
      link.leave()
    }
  } catch (error) {
    room.abort(error)
    const grace = Math.min(GRACE_MS, deadline.remaining - marginOf(deadline))
    await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, grace))])
    throw reasonOf(error, failed)
  } finally {
    room.clear()
  }
}

/** Of the errors of both sides the one that says why. What this side itself found out always wins. */
function reasonOf(error: unknown, failed: readonly CallFailed[]): Error {
  const cutOff =
    error instanceof CallFailed ||
    error instanceof RoomClosed ||
    error instanceof RunFailed ||
    error instanceof UnavailableError
  const told = failed.find(({ error: e }) => e instanceof KeyNotFoundError) ?? failed[0]
  if (cutOff && told !== undefined && !(told.error instanceof DeadlineError)) return told
  return error instanceof CallFailed ? error : runError(error)
}
