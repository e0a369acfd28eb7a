import type { Answer } from '../system.js'

/*
 * Bodies as the framework of the original reads them (axum's `Json` on serde): what it refuses, with which status and
 * in which words. Its words go on with the place in the body; ours do so only where a field is missing.
 */

/** A body that is not one of the route's. */
export class BodyRefused extends Error {
  override readonly name = 'BodyRefused'
  constructor(
    readonly status: 400 | 413 | 415 | 422,
    message: string,
  ) {
    super(message)
  }
}

/** Text, as the framework answers by itself. */
export const textAnswer = (status: number, message: string, code: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: message,
  code,
})

export const TOO_LARGE = 'Failed to buffer the request body: length limit exceeded'

/**
 * The text members of these names, of a JSON object that may have others.
 * @param names in the order in which a missing one is told; of several in one place, the first that is there counts
 * @throws BodyRefused
 */
export function readFields(
  contentType: string | undefined,
  body: Uint8Array,
  names: readonly (readonly [string, ...string[]])[],
): readonly { readonly name: string; readonly value: string }[] {
  if (!isJson(contentType ?? ''))
    throw new BodyRefused(415, 'Expected request with `Content-Type: application/json`')
  const text = decode(body)
  const { tooMany, twice } = inspect(text)
  if (tooMany) throw broken()
  const object = parse(text)
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw notThat('invalid type, expected a JSON object')
  const has = (name: string) => Object.hasOwn(object, name)
  const wanted = names.map((each) => each.find(has) ?? each[0])
  const double = wanted.find((name) => twice.has(name))
  if (double !== undefined) throw notThat(`duplicate field \`${double}\``)
  const members = object as Readonly<Record<string, unknown>>
  // What is there is looked at before what is missing.
  for (const name of wanted.filter(has))
    if (typeof members[name] !== 'string') throw notThat(`${name}: invalid type, expected a string`)
  return wanted.map((name) => {
    if (!has(name)) throw notThat(`missing field \`${name}\` at ${endOf(text)}`)
    return { name, value: members[name] as string }
  })
}

const notThat = (why: string) =>
  new BodyRefused(422, `Failed to deserialize the JSON body into the target type: ${why}`)

/** `application/json` and `application/…+json`, with any parameters. */
function isJson(contentType: string): boolean {
  const [type = ''] = contentType.split(';')
  return /^application\/(?:json|[^\s/]+\+json)$/i.test(type.trim())
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw broken()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The engine's own message quotes the body.
    throw broken()
  }
}

const broken = () => new BodyRefused(400, 'Failed to parse the request body as JSON')

/**
 * So many braces, brackets, commas and colons a body may have. Ours have seven; two megabytes of them would keep
 * JSON.parse busy for long, and everybody else waiting.
 */
const MOST_SIGNS = 1_000

/**
 * One pass over a text that may not be JSON: whether it has more parts than any body of ours, and, if it is an object,
 * which of its own members stand twice, where JSON.parse would take the last without a word.
 */
function inspect(text: string): { readonly tooMany: boolean; readonly twice: ReadonlySet<string> } {
  const seen = new Set<string>()
  const twice = new Set<string>()
  let depth = 0
  let signs = 0
  // What is in quotes after the first brace, or after a comma of its own, is a name.
  let nameNext = false
  for (let i = 0; i < text.length; i++) {
    const sign = text[i]!
    if (sign === '"') {
      const end = endOfString(text, i)
      // Not JSON, as JSON.parse will find.
      if (end === -1) break
      if (nameNext) {
        const name = nameOf(text.slice(i, end + 1))
        ;(seen.has(name) ? twice : seen).add(name)
        nameNext = false
      }
      i = end
    } else if ('{[}],:'.includes(sign)) {
      if (++signs > MOST_SIGNS) return { tooMany: true, twice }
      if (sign === '{' || sign === '[') nameNext = ++depth === 1
      else if (sign === '}' || sign === ']') depth--
      else if (sign === ',') nameNext = depth === 1
    }
  }
  return { tooMany: false, twice }
}

/** What a name in quotes says; nothing where it is not JSON. */
function nameOf(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  try {
    return JSON.parse(quoted) as string
  } catch {
    return ''
  }
}

/** Where the string that begins at `start` has its second quote; -1 where it has none. */
function endOfString(text: string, start: number): number {
  let end = start
  let escaped: boolean
  do {
    end = text.indexOf('"', end + 1)
    if (end === -1) return -1
    let before = end - 1
    while (text[before] === '\\') before--
    escaped = (end - before) % 2 === 0
  } while (escaped)
  return end
}

/** The place of the last brace. */
function endOf(text: string): string {
  const whole = text.trimEnd()
  let line = 1
  let start = 0
  for (let at = whole.indexOf('\n'); at !== -1; at = whole.indexOf('\n', at + 1)) {
    line++
    start = at + 1
  }
  return `line ${line} column ${Buffer.byteLength(whole.slice(start))}`
}
