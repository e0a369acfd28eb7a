import { EMPTY, sealProblem, type Head } from './chain.js'
import { anchorMac, sameMac } from './keys.js'
import { parseLine, type Anchor, type SealedRecord } from './line.js'
import { BEGUN, type AuditRecord } from './record.js'

/** What is wrong with the first bad record. docs/spec/audit-log.md, section 6. */
export type AuditProblem =
  /** Not the text of a record. */
  | 'malformed'
  /** Another record's number: one or more are missing before it, or it stands here twice. */
  | 'out_of_order'
  /** Its hash is not that of its contents. */
  | 'changed'
  /** Its code was not made by this server. */
  | 'forged'
  /** It does not follow the record before: one of the two was changed, by somebody without the key. */
  | 'not_linked'
  /** It ends something that had not begun, or that had ended. */
  | 'unpaired'
  /** The first record does not open the log, or a later one does, or the generation changes without saying so. */
  | 'wrong_generation'
  /** An anchor knows another record in this place: the log was written anew after it. */
  | 'not_as_anchored'
  /** An anchor knows this record, and the log ends before it. */
  | 'cut_off'
  /** An anchor of a generation of this log was not made by this server. */
  | 'anchor_forged'

export interface BadRecord {
  readonly ok: false
  readonly seq: number
  readonly problem: AuditProblem
}

/** What a record of a restore says. */
export interface RestoreRecord {
  readonly seq: number
  /** SHA-256 of the bundle. */
  readonly bundle: string
  /** Hash of the last record of the log that was lost. */
  readonly auditHead: string
}

export interface GoodLog {
  readonly ok: true
  readonly head: Head
  /** Of the last record; empty for an empty log. */
  readonly generation: string
  /** Whether there was a key. Without one, a log that was written anew from some record on is found by anchors only. */
  readonly keyed: boolean
  /** Records of what began and has no end: it may have happened. */
  readonly unfinished: readonly number[]
  /** Anchors that agree. */
  readonly anchored: number
  /** Records after the last anchor that agrees: if more of them were cut off, nobody can tell. */
  readonly unanchored: number
  /** Anchors of records that were lost when an older copy of the database was put back. */
  readonly abandoned: readonly Anchor[]
  /** Anchors of generations that this log has never had: of a database that was lost, or of another one. */
  readonly foreign: readonly Anchor[]
  /** Where the database was made from a bundle: what it continues. */
  readonly restores: readonly RestoreRecord[]
}

export interface VerifyOptions {
  /** The key under which records and anchors are authenticated. Without it only hashes are checked. */
  readonly chainKey?: Uint8Array | undefined
  readonly anchors?: readonly Anchor[] | undefined
  /** Of the database that the log was read from. */
  readonly generation?: string | undefined
}

/** Checks a whole log from its first record on, and says which record is the first bad one. */
export async function verifyLog(
  lines: AsyncIterable<string> | Iterable<string>,
  { chainKey, anchors = [], generation }: VerifyOptions = {},
): Promise<BadRecord | GoodLog> {
  const isOurs = (anchor: Anchor) =>
    chainKey === undefined || sameMac(anchor.mac, anchorMac(chainKey, anchor))
  const checked = new Anchors(anchors.filter(isOurs))
  const story = new Story()
  let head = EMPTY
  for await (const line of lines) {
    const seq = head.seq + 1
    const sealed = parseLine(line)
    if (sealed === undefined) return bad(seq, 'malformed')
    const problem = linkProblem(sealed, head, chainKey) ?? story.add(sealed.record)
    if (problem !== undefined) return bad(seq, problem)
    head = { seq, hash: sealed.hash }
    if (!checked.meet(sealed, story)) return bad(seq, 'not_as_anchored')
  }
  // A database that was lost had another storage key: what says that it is of this one must have its code.
  for (const anchor of anchors)
    if (!isOurs(anchor)) {
      if (story.knows(anchor.generation)) return bad(anchor.seq, 'anchor_forged')
      checked.foreign.push(anchor)
    }
  // Somebody emptied it, or took away the end in which the database got its generation.
  if (head.seq === 0 && anchors.length > 0) return bad(1, 'cut_off')
  if (generation !== undefined && generation !== story.generation)
    return bad(head.seq + 1, 'cut_off')
  const contradicted = checked.finish(head, story)
  if (contradicted !== undefined) return contradicted
  return {
    ok: true,
    head,
    generation: story.generation,
    keyed: chainKey !== undefined,
    unfinished: story.unfinished,
    anchored: checked.agreed,
    unanchored: head.seq - checked.last,
    abandoned: checked.abandoned,
    foreign: checked.foreign,
    restores: story.restores,
  }
}

const bad = (seq: number, problem: AuditProblem): BadRecord => ({ ok: false, seq, problem })

/** What is wrong between a record and the one before it. */
function linkProblem(
  sealed: SealedRecord,
  head: Head,
  chainKey: Uint8Array | undefined,
): AuditProblem | undefined {
  const { seq, prev } = sealed.record
  if (seq !== head.seq + 1) return 'out_of_order'
  return sealProblem(sealed, chainKey) ?? (prev === head.hash ? undefined : 'not_linked')
}

/** What the records tell, one after the other: what is under way, and in which generation. */
class Story {
  generation = ''
  readonly restores: RestoreRecord[] = []
  readonly #left = new Set<string>()
  readonly #open = new Map<number, AuditRecord>()

  get unfinished(): number[] {
    return [...this.#open.keys()]
  }

  hasLeft(generation: string): boolean {
    return this.#left.has(generation)
  }

  knows(generation: string): boolean {
    return generation === this.generation || this.hasLeft(generation)
  }

  add(record: AuditRecord): AuditProblem | undefined {
    const { seq, generation, action, outcome, of } = record
    if ((seq === 1) !== (action === 'log_opened')) return 'wrong_generation'
    const changes = seq === 1 || action === 'generation_changed'
    if ((generation !== this.generation) !== changes || this.#left.has(generation))
      return 'wrong_generation'
    if (changes) {
      if (seq > 1) this.#left.add(this.generation)
      this.generation = generation
    }
    if (action === 'restore') {
      const values = new Map(record.values)
      const bundle = values.get('bundle') ?? ''
      this.restores.push({ seq, bundle, auditHead: values.get('audit_head') ?? '' })
    }
    if (outcome === BEGUN) {
      if (of !== 0) return 'unpaired'
      this.#open.set(seq, record)
    } else if (of !== 0) {
      const begun = this.#open.get(of)
      if (begun === undefined || !belong(begun, record)) return 'unpaired'
      this.#open.delete(of)
    }
    return undefined
  }
}

/** Whether a record ends what another one began. The key or the user may have come into being meanwhile. */
function belong(begun: AuditRecord, ended: AuditRecord): boolean {
  return (
    begun.action === ended.action &&
    begun.request === ended.request &&
    begun.actor === ended.actor &&
    (begun.user === '' || begun.user === ended.user) &&
    begun.apiKey === ended.apiKey &&
    (begun.key === '' || begun.key === ended.key)
  )
}

/** Compares a log with what was anchored of it. */
class Anchors {
  readonly #bySeq = new Map<number, Anchor[]>()
  readonly #early: Anchor[] = []
  readonly abandoned: Anchor[] = []
  readonly foreign: Anchor[] = []
  agreed = 0
  /** The last record that an anchor agrees with. */
  last = 0

  constructor(anchors: readonly Anchor[]) {
    for (const anchor of anchors)
      this.#bySeq.set(anchor.seq, [...(this.#bySeq.get(anchor.seq) ?? []), anchor])
  }

  /** Answers false when an anchor knows another record in the place of this one. */
  meet({ record, hash }: SealedRecord, story: Story): boolean {
    const here = this.#bySeq.get(record.seq) ?? []
    this.#bySeq.delete(record.seq)
    for (const anchor of here) {
      if (anchor.generation === record.generation) {
        if (anchor.hash !== hash) return false
        this.agreed++
        this.last = record.seq
      } else if (story.hasLeft(anchor.generation)) this.abandoned.push(anchor)
      else this.#early.push(anchor)
    }
    return true
  }

  /** Sorts the rest once the log has ended. Answers what an anchor contradicts. */
  finish(head: Head, story: Story): BadRecord | undefined {
    // Nothing of a generation that began later can have been anchored in these places.
    for (const anchor of this.#early) {
      const { seq, generation } = anchor
      if (story.knows(generation)) return bad(seq, 'not_as_anchored')
      this.foreign.push(anchor)
    }
    for (const anchor of [...this.#bySeq.values()].flat()) {
      if (anchor.generation === story.generation) return bad(head.seq + 1, 'cut_off')
      if (story.hasLeft(anchor.generation)) this.abandoned.push(anchor)
      else this.foreign.push(anchor)
    }
    return undefined
  }
}
