import { setTimeout as sleep } from 'node:timers/promises'
import { PROOF_HEADER, type LoggedRecord, type System } from '../system.js'
import type { SignedLog } from './signed.js'

/** So long an answer to what was just written waits for the checkpoint that has it, and so often is looked. Milliseconds. */
const PATIENCE_MS = 2_000
const LOOK_MS = 100

/**
 * A system whose answers, where `?proof=1` asks for it, carry in a header the proof that the log has the record they are
 * about. Nothing else of an answer changes. docs/directory/log.md
 */
export function withProofs(system: System, log: SignedLog): System {
  return {
    ...system,
    routes: system.routes.map((route) => ({
      ...route,
      handle: async (asked) => {
        const answer = await route.handle(asked)
        const { record } = answer
        if (record === undefined || new URLSearchParams(asked.query).get('proof') !== '1')
          return answer
        const proof = await proofOf(log, record, route.takesBody ? PATIENCE_MS : 0)
        if (proof === undefined) return answer
        const value = Buffer.from(proof, 'utf8').toString('base64')
        return { ...answer, headers: { ...answer.headers, [PROOF_HEADER]: value } }
      },
    })),
  }
}

/** Whatever is wrong with the log, the answer itself is right, and what was written is kept: then there is no proof. */
async function proofOf(
  log: SignedLog,
  record: LoggedRecord,
  patience: number,
): Promise<string | undefined> {
  const until = performance.now() + patience
  try {
    for (;;) {
      const last = await log.last()
      const proof = last && (await log.proofOf(record, last))
      if (proof && 'text' in proof) return proof.text
      if (proof?.missing === 'unknown' || performance.now() >= until) return undefined
      await sleep(LOOK_MS)
    }
  } catch {
    return undefined
  }
}
