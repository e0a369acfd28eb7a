import { parseLine, linesOf, readAnchors, verifyLog, type AuditProblem } from '../audit/index.js'
import type { Config } from '../config.js'
import { makeFile } from '../new-file.js'
import { rowSeal, type SealLog } from '../seal/index.js'
import { assertCurrent, type Snapshot } from '../store/index.js'
import { snapshotOf } from './database.js'
import { loadStorageKey } from './secrets.js'
import type { Progress } from './bundle.js'

/** What a check of an audit log has found. docs/spec/audit-log.md, section 6 */
export type AuditReport =
  | {
      readonly ok: true
      readonly head: { readonly seq: number; readonly hash: string }
      readonly generation: string
      /** Whether the codes were checked, which needs the storage key. */
      readonly codes: boolean
      readonly unfinished: readonly number[]
      readonly anchors: AnchorCounts
      /** Records after the last anchor that agrees. */
      readonly unanchored: number
      readonly restores: readonly {
        readonly seq: number
        readonly bundle: string
        readonly audit_head: string
      }[]
    }
  | {
      readonly ok: false
      /** Place of the first bad record. */
      readonly seq: number
      readonly problem: AuditProblem | 'no_anchor_agrees'
    }

interface AnchorCounts {
  readonly agreed: number
  readonly abandoned: number
  readonly foreign: number
  /** Lines of the files that are no anchors. */
  readonly unreadable: number
}

export interface AuditCheck {
  /** An exported log; the database of the configuration if absent. */
  readonly file?: string | undefined
  /** Files of anchors. */
  readonly anchors: readonly string[]
}

/**
 * Checks the audit log of a database, beside the server that uses it, or one that was exported.
 * @param config undefined for a file whose codes are not checked: then nothing but the files is needed
 * @throws the error of the file system; what isForOperator and isUnavailable know
 */
export async function verifyAudit(
  config: Config | undefined,
  { file, anchors: paths }: AuditCheck,
  log: SealLog,
  progress: Progress,
): Promise<AuditReport> {
  const { anchors, unreadable } = await readAnchors(paths)
  const storage = config && (await loadStorageKey(config, log))
  const chainKey = storage?.key.auditKeys().chain
  const check = (lines: AsyncIterable<string>, generation?: string) =>
    verifyLog(counted(lines, progress), { chainKey, anchors, generation })
  const found =
    file === undefined ? await withLog(config!, storage!.key, check) : await check(linesOf(file))
  if (!found.ok) return found
  if (paths.length > 0 && found.anchored === 0)
    return { ok: false, seq: 1, problem: 'no_anchor_agrees' }
  return {
    ok: true,
    head: found.head,
    generation: found.generation,
    codes: found.keyed,
    unfinished: found.unfinished,
    anchors: {
      agreed: found.anchored,
      abandoned: found.abandoned.length,
      foreign: found.foreign.length,
      unreadable,
    },
    unanchored: found.unanchored,
    restores: found.restores.map(({ seq, bundle, auditHead }) => ({
      seq,
      bundle,
      audit_head: auditHead,
    })),
  }
}

/**
 * Writes the audit log of a database into a new file, a record a line, beside the server that uses it.
 * @returns its head
 * @throws the error of the file system, `EEXIST` where there is such a file; what isForOperator and isUnavailable know
 */
export async function exportAudit(
  config: Config,
  to: string,
  log: SealLog,
  progress: Progress,
): Promise<{ readonly file: string; readonly seq: number; readonly hash: string }> {
  const { key } = await loadStorageKey(config, log)
  let last = ''
  await withLog(config, key, (lines) =>
    makeFile(
      to,
      (async function* () {
        for await (const line of counted(lines, progress)) yield Buffer.from(`${(last = line)}\n`)
      })(),
    ),
  )
  const head = parseLine(last)
  return { file: to, seq: head?.record.seq ?? 0, hash: head?.hash ?? '' }
}

/** Reads the log of one moment. */
async function withLog<T>(
  config: Config,
  storageKey: Parameters<typeof rowSeal>[0],
  work: (lines: AsyncIterable<string>, generation: string) => Promise<T>,
): Promise<T> {
  const snapshot = await snapshotOf(config)
  try {
    return await work(linesIn(snapshot), await assertCurrent(snapshot, rowSeal(storageKey)))
  } finally {
    await snapshot.close()
  }
}

async function* linesIn(snapshot: Snapshot): AsyncGenerator<string> {
  for await (const { line } of snapshot.rows('SELECT line FROM audit_records ORDER BY seq'))
    yield String(line)
}

async function* counted(lines: AsyncIterable<string>, progress: Progress): AsyncGenerator<string> {
  let count = 0
  for await (const line of lines) {
    yield line
    count++
    progress(() => `${count} records`)
  }
}
