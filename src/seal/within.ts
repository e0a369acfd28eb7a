/** Something took longer than it may. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut'
}

/**
 * Ends when the time is over even where the callee ignores its signal, as the login to the managed identity does.
 * @throws TimedOut
 */
export async function within<T>(ms: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new TimedOut())
      stop.abort()
    }, ms)
  })
  try {
    return await Promise.race([ask(stop.signal), late])
  } finally {
    clearTimeout(timer)
  }
}
