import type { AuditActor, AuditRecord } from './record.js'

/** A record as it is kept and exported: with its hash, and the code that only the server can make. */
export interface SealedRecord {
  readonly record: AuditRecord
  readonly hash: string
  readonly mac: string
}

/** The head of the log at one moment, kept where whoever writes the database cannot write. */
export interface Anchor {
  readonly seq: number
  /** When it was anchored. Milliseconds since 1970. */
  readonly at: number
  readonly generation: string
  readonly hash: string
  readonly mac: string
}

/** The one form of a record as text: JSON, its members in this order, no spaces, no line end. */
export function formatLine({ record: r, hash, mac }: SealedRecord): string {
  return JSON.stringify({
    seq: r.seq,
    at: isoTime(r.at),
    generation: r.generation,
    request: r.request,
    actor: r.actor,
    user: r.user,
    api_key: r.apiKey,
    action: r.action,
    key: r.key,
    of: r.of,
    outcome: r.outcome,
    values: r.values,
    prev: r.prev,
    hash,
    mac,
  })
}

/** Undefined for anything but the text that `formatLine` makes of a record. */
export function parseLine(text: string): SealedRecord | undefined {
  const line = parseObject(text)
  if (line === undefined) return undefined
  const { seq, at, generation, request, actor, user, api_key, action, key, of, outcome } = line
  const { values, prev, hash, mac } = line
  const wellFormed =
    isCount(seq) &&
    seq > 0 &&
    isCount(of) &&
    matches(generation, /^[0-9a-f]{32}$/) &&
    matches(request, /^(?:[0-9a-f]{32})?$/) &&
    matches(actor, /^(?:user|admin|server)$/) &&
    matches(user, ID) &&
    matches(api_key, ID) &&
    matches(action, NAME) &&
    matches(key, /^(?:[0-9a-f]{64})?$/) &&
    matches(outcome, NAME) &&
    areValues(values) &&
    [prev, hash, mac].every((digest) => matches(digest, HASH))
  if (!wellFormed) return undefined
  const time = readTime(at)
  if (time === undefined) return undefined
  const sealed: SealedRecord = {
    record: {
      seq,
      at: time,
      generation,
      request,
      actor: actor as AuditActor,
      user,
      apiKey: api_key,
      action,
      key,
      of,
      outcome,
      values,
      prev: prev as string,
    },
    hash: hash as string,
    mac: mac as string,
  }
  // A second member of one name, another order, a space: nothing that a reader could take for something else.
  return formatLine(sealed) === text ? sealed : undefined
}

/** The one form of an anchor as text. */
export function formatAnchor({ seq, at, generation, hash, mac }: Anchor): string {
  return JSON.stringify({ anchor: seq, at: isoTime(at), generation, hash, mac })
}

/** Undefined for anything but the text that `formatAnchor` makes. */
export function parseAnchor(text: string): Anchor | undefined {
  const line = parseObject(text)
  if (line === undefined) return undefined
  const { anchor: seq, at, generation, hash, mac } = line
  const time = readTime(at)
  if (time === undefined || !isCount(seq) || !matches(generation, /^[0-9a-f]{32}$/))
    return undefined
  if (!matches(hash, HASH) || !matches(mac, HASH)) return undefined
  const anchor = { seq, at: time, generation, hash, mac }
  return formatAnchor(anchor) === text ? anchor : undefined
}

const HASH = /^[0-9a-f]{64}$/
/** Ids of users and API keys. */
const ID = /^[0-9a-f-]{0,36}$/
/** Actions, outcomes and the names of values. Any, so that an older reader can check what a newer server wrote. */
const NAME = /^[a-z0-9_]{1,64}$/

const isoTime = (at: number) => new Date(at).toISOString()

function readTime(at: unknown): number | undefined {
  const time = typeof at === 'string' ? Date.parse(at) : NaN
  return Number.isSafeInteger(time) && time >= 0 ? time : undefined
}

function parseObject(text: string): Record<string, unknown> | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  return typeof parsed === 'object' && parsed !== null
    ? (parsed as Record<string, unknown>)
    : undefined
}

const matches = (value: unknown, form: RegExp): value is string =>
  typeof value === 'string' && form.test(value)

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

const areValues = (values: unknown): values is (readonly [string, string])[] =>
  Array.isArray(values) &&
  values.every(
    (entry: unknown) =>
      Array.isArray(entry) &&
      entry.length === 2 &&
      matches(entry[0], NAME) &&
      matches(entry[1], HASH),
  )
