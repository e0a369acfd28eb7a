import {
  asRunError,
  VaultError,
  type Engine,
  type KeygenWork,
  type SignWork,
} from '../vault/index.js'
import type { Metrics, RunKind, RunOutcome } from './metrics.js'

/** An engine whose runs are counted and timed. */
export function measuredEngine(engine: Engine, metrics: Metrics): Engine {
  const measure = async <T>(kind: RunKind, signatures: number, run: () => Promise<T>) => {
    const began = performance.now()
    const since = () => (performance.now() - began) / 1000
    try {
      const result = await run()
      metrics.run(kind, 'ok', since(), signatures)
      return result
    } catch (error) {
      metrics.run(kind, outcomeOf(error), since())
      throw error
    }
  }
  return {
    capacity: engine.capacity,
    sign: (work) => measure('sign', work.batch.length, () => engine.sign(watched(work, metrics))),
    keygen: (work) => measure('keygen', 0, () => engine.keygen(watched(work, metrics))),
  }
}

function watched<W extends SignWork | KeygenWork>(work: W, metrics: Metrics): W {
  const { setups } = work
  return {
    ...work,
    measured: (rounds) => {
      metrics.rounds(rounds)
    },
    setups: {
      ...setups,
      save: async (peer, setup) => {
        await setups.save(peer, setup)
        metrics.setup('made')
      },
      retire: (setupId, peer, code, blamed) => {
        metrics.setup('retired')
        return setups.retire(setupId, peer, code, blamed)
      },
      unreadable: (peer) => {
        metrics.setup('unreadable')
        setups.unreadable(peer)
      },
    },
  }
}

/** What will be answered. */
function outcomeOf(error: unknown): RunOutcome {
  const answered = asRunError(error)
  return answered instanceof VaultError ? answered.errType : 'internal_problem'
}
