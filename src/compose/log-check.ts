import { setTimeout as sleep } from 'node:timers/promises'
import {
  COSIGNATURE,
  formatVerifierKey,
  openCheckpoint,
  parseVerifierKey,
  toBase64,
  verifierOf,
  type Checkpoint,
  type SignerKey,
  type VerifierKey,
} from '@vertex/directory/log'
import { parseLine, sealProblem } from '../audit/index.js'
import type { Config } from '../config.js'
import { LogBad, type GoodLog } from '../directory/log/problem.js'
import { placeOf } from '../directory/log/place.js'
import { LogUnreachable, verifyPublished, type Get } from '../directory/log/published.js'
import { loggedRows } from '../directory/log/rows.js'
import { verifyDatabase, type GoodDatabase } from '../directory/log/verify.js'
import { SplitView, witness } from '../directory/log/witness.js'
import { parseSecret, rowSeal, type SealLog } from '../seal/index.js'
import { assertCurrent } from '../store/index.js'
import type { Progress } from './bundle.js'
import { snapshotOf } from './database.js'
import { logSigner, verifierKeyOf } from './log.js'
import { loadStorageKey } from './secrets.js'

export { LogUnreachable }

/** The command line names something that cannot be used. */
export class LogUsage extends Error {
  override readonly name = 'LogUsage'
}

/** What a check of the log has found. docs/spec/directory-log.md, section 7 */
export type LogReport =
  | {
      readonly ok: true
      readonly origin: string
      readonly size: number
      readonly root: string
      readonly kinds: Readonly<Record<string, number>>
      /** Of a check of the database. */
      readonly database?: {
        readonly rows: number
        readonly erased: number
        readonly audit_records: number
        readonly waiting: number
      }
    }
  | BadLog

export interface BadLog {
  readonly ok: false
  readonly problem: LogBad['problem']
  readonly what: string
  /** Of the entry, where it is about one. */
  readonly index?: number | undefined
}

/** What the checkpoints of the log of this database are verified with. */
export async function logKey(
  config: Config,
  log: SealLog,
): Promise<{ readonly verifier_key: string }> {
  return withLog(config, log, (_, signer) =>
    Promise.resolve({ verifier_key: verifierKeyOf(signer) }),
  )
}

/**
 * Checks the log of the database of this configuration, beside the server that uses it.
 * @param kept the texts of checkpoints that were kept elsewhere
 */
export async function verifyLogHere(
  config: Config,
  kept: readonly string[],
  log: SealLog,
  progress: Progress,
): Promise<LogReport> {
  return withLog(config, log, (snapshot, signer) => {
    const key = verifierOf(signer)
    return reported(() =>
      verifyDatabase({
        snapshot,
        key,
        kept: opened(kept, key),
        rows: loggedRows,
        badRecord,
        progress,
      }),
    )
  })
}

/** Checks the log that is published at an address. */
export async function verifyLogAt(
  url: string,
  verifierKey: string,
  kept: readonly string[],
  progress: Progress,
): Promise<LogReport> {
  const key = keyOf(verifierKey)
  return reported(() => verifyPublished(logAt(url, key), key, opened(kept, key), progress))
}

export interface Witnessed {
  readonly ok: true
  readonly what: 'first' | 'same' | 'newer' | 'older'
  readonly origin: string
  readonly size: number
  readonly before: number
  /** What a cosignature of it is verified with. */
  readonly witness_key?: string
  /** What to keep. */
  readonly keep: string
}

export interface Contradiction extends BadLog {
  /** Both checkpoints, as they were signed. */
  readonly evidence?: readonly [kept: string, shown: string]
}

/**
 * Looks at a log once.
 * @param kept what the last look said is to be kept
 * @param cosigner a secret as text, and the name that goes with it
 */
export async function witnessLog(
  url: string,
  verifierKey: string,
  kept: string | undefined,
  cosigner: { readonly name: string; readonly secret: string } | undefined,
  now: number,
): Promise<Witnessed | Contradiction> {
  const key = keyOf(verifierKey)
  const signer: SignerKey | undefined = cosigner && {
    name: cosigner.name,
    seed: parseSecret(cosigner.secret, '--cosign-key'),
  }
  try {
    const seen = await witness(logAt(url, key), key, kept, signer, Math.floor(now / 1000))
    return {
      ok: true,
      ...seen,
      ...(signer && { witness_key: formatVerifierKey(verifierOf(signer, COSIGNATURE)) }),
    }
  } catch (error) {
    if (!(error instanceof LogBad)) throw error
    return { ...bad(error), ...(error instanceof SplitView && { evidence: error.evidence }) }
  }
}

/** @throws LogUsage */
function keyOf(text: string): VerifierKey {
  const key = parseVerifierKey(text)
  if (key === undefined)
    throw new LogUsage(
      '--key is not a verifier key: it has the form NAME+ID+KEY, as /log/key shows',
    )
  return key
}

/** @throws LogUsage for a text that is not a checkpoint of this log */
const opened = (texts: readonly string[], key: VerifierKey): Checkpoint[] =>
  texts.map((text) => {
    const checkpoint = openCheckpoint(text, key)
    if (checkpoint === undefined)
      throw new LogUsage(`--checkpoint names a file that is no checkpoint of the log ${key.name}`)
    return checkpoint
  })

async function reported(check: () => Promise<GoodLog | GoodDatabase>): Promise<LogReport> {
  try {
    const good = await check()
    const { origin, size, root, kinds } = good
    const report = { ok: true, origin, size, root: toBase64(root), kinds } as const
    if (!('rows' in good)) return report
    const { rows, erased, auditRecords: audit_records, waiting } = good
    return { ...report, database: { rows, erased, audit_records, waiting } }
  } catch (error) {
    if (!(error instanceof LogBad)) throw error
    return bad(error)
  }
}

const bad = ({ problem, what, index }: LogBad): BadLog => ({ ok: false, problem, what, index })

/** The database of one moment, and the key that its log has. */
async function withLog<T>(
  config: Config,
  log: SealLog,
  work: (snapshot: Awaited<ReturnType<typeof snapshotOf>>, signer: SignerKey) => Promise<T>,
): Promise<T> {
  const { key } = await loadStorageKey(config, log)
  const snapshot = await snapshotOf(config)
  try {
    const generation = await assertCurrent(snapshot, rowSeal(key))
    return await work(snapshot, logSigner(config, key, generation))
  } finally {
    await snapshot.close()
  }
}

/** The first record of a run of the audit log that is not a record, or does not follow the one before. */
function badRecord(lines: readonly string[]): number | undefined {
  let [before, seq]: [string | undefined, number | undefined] = [undefined, undefined]
  for (const line of lines) {
    const sealed = parseLine(line)
    if (sealed === undefined) return seq === undefined ? undefined : seq + 1
    seq = sealed.record.seq
    if (sealProblem(sealed, undefined) !== undefined) return seq
    if (before !== undefined && sealed.record.prev !== before) return seq
    before = sealed.hash
  }
  return undefined
}

/** How long one request may take, and how often one that is told to wait is made. */
const PATIENCE_MS = 15_000
const TRIES = 6
const LONGEST_WAIT_S = 30

/**
 * What a log publishes, under its own address or the one above, which has the checkpoint of the newest one.
 * docs/spec/directory-log.md, section 3. @throws LogUsage
 */
function logAt(url: string, key: VerifierKey): Get {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new LogUsage('the log is named by its address, such as https://vertex.example.com/log')
  const base = url.replace(/\/+$/, '')
  const place = placeOf(key.name)
  const tiles = base.endsWith(`/${place}`) ? base : `${base}/${place}`
  return async (path, most) => {
    const address = `${path.startsWith('tile/') ? tiles : base}/${path}`
    for (let tries = 1; ; tries++) {
      const answer = await fetch(address, {
        redirect: 'error',
        signal: AbortSignal.timeout(PATIENCE_MS),
      }).catch(() => undefined)
      if (answer?.status === 200) return bodyOf(answer, most)
      await answer?.body?.cancel()
      if (answer?.status === 404) return undefined
      const wait = Number(answer?.headers.get('retry-after') ?? NaN)
      if (!(wait >= 0 && wait <= LONGEST_WAIT_S) || tries === TRIES)
        throw new LogUnreachable(
          answer === undefined ? `${base} does not answer` : `${address} answers ${answer.status}`,
        )
      await sleep(wait * 1000)
    }
  }
}

/** A log may not make its reader keep whatever it sends. @throws LogUnreachable */
async function bodyOf(answer: Response, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for await (const part of answer.body ?? []) {
      parts.push(part as Uint8Array)
      length += (part as Uint8Array).length
      if (length > most) throw new LogUnreachable('the log sends more than was asked for')
    }
  } catch (error) {
    throw error instanceof LogUnreachable ? error : new LogUnreachable('the answer broke off')
  }
  return new Uint8Array(Buffer.concat(parts))
}
