import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import canonicalize from 'canonicalize'
import { JsonProblem, parseStrictJson } from '../json/index.js'
import { refuse } from './refusal.js'

/** What an event does to the subjects that speak for a primary. */
export type Op = 'add' | 'revoke'

/** What an event says and its signature covers. */
export interface EventPayload {
  readonly type: 'kez.sigchain.event'
  readonly version: 1
  readonly primary: string
  readonly seq: number
  /** The hash of the envelope before this one; absent in the first event. */
  readonly prev?: string
  /** RFC 3339. */
  readonly created_at: string
  readonly op: Op
  readonly payload: { readonly subject: string }
}

/** A signed event, as it is sent, kept and served. */
export interface Envelope {
  readonly kez: 'sigchain_event'
  readonly payload: EventPayload
  readonly signature: { readonly alg: string; readonly key: string; readonly sig: string }
}

/**
 * Reads an envelope. Its members are the documented ones and no others, because what is around the signed part could be
 * changed by anybody, and with it the hash that the next event names; what an `add` or `revoke` says beside its subject
 * is signed and may be more. Numbers are whole and small enough that every reader writes them the same way.
 * @throws SigchainRefusal `bad_envelope`
 */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  const envelope = objectOf(bytes)
  if (envelope['kez'] !== 'sigchain_event') throw bad('kez must be "sigchain_event"')
  const payload = members(envelope['payload'], 'payload')
  const signature = members(envelope['signature'], 'signature')
  only(envelope, ['kez', 'payload', 'signature'], 'the envelope')
  only(signature, ['alg', 'key', 'sig'], 'signature')
  only(payload, payloadMembers, 'payload')
  if (payload['type'] !== 'kez.sigchain.event')
    throw bad('payload.type must be "kez.sigchain.event"')
  if (payload['version'] !== 1) throw bad('payload.version must be 1')
  text(payload['primary'], 'payload.primary')
  if (!Number.isSafeInteger(payload['seq']))
    throw bad('payload.seq must be a whole number from 0 to 9007199254740991')
  if ('prev' in payload) text(payload['prev'], 'payload.prev')
  if (!isTime(text(payload['created_at'], 'payload.created_at')))
    throw bad('payload.created_at must be a time such as 2026-05-24T19:00:00Z')
  if (payload['op'] !== 'add' && payload['op'] !== 'revoke')
    throw bad('payload.op must be "add" or "revoke"')
  const { subject } = members(payload['payload'], 'payload.payload')
  if (!/^\P{Cc}+$/u.test(text(subject, 'payload.payload.subject')))
    throw bad('payload.payload.subject must not be empty or have control characters')
  for (const name of ['alg', 'key', 'sig']) text(signature[name], `signature.${name}`)
  return envelope as unknown as Envelope
}

/** JSON Canonicalization Scheme, RFC 8785. @throws SigchainRefusal for what has no such form */
export function canonical(value: object): Uint8Array {
  let made: string | undefined
  try {
    made = canonicalize(value)
  } catch {
    // Half of a surrogate pair.
  }
  if (made === undefined) throw bad('the envelope has text that is not Unicode')
  return utf8ToBytes(made)
}

/** What the next event's `prev` names: the SHA-256 of the whole envelope in its canonical form. */
export function envelopeHash(envelope: Envelope): string {
  return `sha256:${bytesToHex(sha256(canonical(envelope)))}`
}

const payloadMembers = [
  'type',
  'version',
  'primary',
  'seq',
  'prev',
  'created_at',
  'op',
  'payload',
] as const

type Members = Readonly<Record<string, unknown>>

const bad = (message: string) => refuse('bad_envelope', message)

function objectOf(bytes: Uint8Array): Members {
  let value: object
  try {
    value = parseStrictJson(bytes)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    throw bad(`the event ${error.message}`)
  }
  // A number with a sign, a fraction or an exponent; strings aside, nothing else in JSON looks like one.
  const bare = new TextDecoder().decode(bytes).replace(/"(?:[^"\\]|\\.)*"/g, '')
  if (/[-.]|\d[eE]/.test(bare)) throw bad('the numbers of an event are whole and without a sign')
  for (const [digits] of bare.matchAll(/\d+/g))
    if (!Number.isSafeInteger(Number(digits))) throw bad('a number of the event is too large')
  return value as Members
}

function members(value: unknown, name: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad(`${name} must be an object`)
  return value as Members
}

function only(value: Members, names: readonly string[], where: string): void {
  if (!Object.keys(value).every((name) => names.includes(name)))
    throw bad(`${where} has a member that is not known: it may have ${names.join(', ')}`)
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw bad(`${name} must be a text`)
  return value
}

/** RFC 3339, section 5.6. */
function isTime(value: string): boolean {
  const parts =
    /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|[+-](\d\d):(\d\d))$/.exec(
      value,
    )
  if (parts === null) return false
  const [year, month, day, hour, minute, second, offsetHour = 0, offsetMinute = 0] = parts
    .slice(1)
    .map((part: string | undefined) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number?,
    number?,
  ]
  const lastDay = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()
  return (
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= lastDay &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 60 &&
    offsetHour <= 23 &&
    offsetMinute <= 59
  )
}
