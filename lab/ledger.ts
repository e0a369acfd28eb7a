import { VertexError, type ErrType } from '@vertex/sdk'

/** Something that was acknowledged is not there any more. */
export class Lost extends Error {}

/** Something acknowledged, and how to find out whether it is still there. */
interface Promised {
  readonly what: string
  /** @throws Lost, or an error that means it, when it is gone */
  readonly holds: () => Promise<void>
}

/** What one run found. */
export interface Findings {
  acknowledged: number
  readonly lost: string[]
  readonly wrong: string[]
  /** From the fault, or its end, to the first operation that was acknowledged again. Milliseconds. */
  readonly recoveryMs: number[]
}

export const nothingFound = (): Findings => ({
  acknowledged: 0,
  lost: [],
  wrong: [],
  recoveryMs: [],
})

/** Old promises are looked at less closely than this many new ones. */
const CLOSELY = 12

/** Remembers what was acknowledged, and asks for all of it after a fault. */
export class Ledger {
  readonly #promised: Promised[] = []
  /** What the run under way has found. */
  readonly found: Findings = nothingFound()

  /** An operation was acknowledged. */
  acknowledged(): void {
    this.found.acknowledged++
  }

  /** It was, and must hold from now on. */
  promise(what: string, holds: () => Promise<void>): void {
    this.acknowledged()
    this.#promised.push({ what, holds })
  }

  wrong(what: string): void {
    this.found.wrong.push(what)
  }

  lost(what: string): void {
    this.found.lost.push(what)
  }

  /** Looks for everything that was promised, the newest closely and some of the old. */
  async audit(): Promise<void> {
    const old = this.#promised.slice(0, -CLOSELY)
    const some = old.filter((_, i) => i % Math.ceil(old.length / CLOSELY) === 0)
    for (const { what, holds } of [...some, ...this.#promised.slice(-CLOSELY)]) {
      try {
        await holds()
      } catch (error) {
        if (isLoss(error)) this.lost(`${what}: ${(error as Error).message}`)
        else this.wrong(`${what}: ${described(error)}`)
      }
    }
  }

  /** What the run found; the next one begins without findings, and with all promises. */
  take(): Findings {
    const { acknowledged, lost, wrong, recoveryMs } = this.found
    this.found.acknowledged = 0
    return {
      acknowledged,
      lost: lost.splice(0),
      wrong: wrong.splice(0),
      recoveryMs: recoveryMs.splice(0),
    }
  }
}

/** A key, a share or an API key that is not known any more. */
function isLoss(error: unknown): boolean {
  return error instanceof Lost || (error instanceof VertexError && losses.has(error.errType))
}

const losses: ReadonlySet<string> = new Set<ErrType>([
  'access_denied',
  'backup_invalid',
  'backup_missing',
  'key_id_not_exists',
  'keygen_unfinished',
  'share_not_found',
])

export function described(error: unknown): string {
  if (error instanceof VertexError)
    return `${error.errType}${error.status === undefined ? '' : ` (${error.status})`}: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
