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
  const object = parse(text)
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw notThat('invalid type, expected a JSON object')
  const has = (name: string) => Object.hasOwn(object, name)
  const wanted = names.map((each) => each.find(has) ?? each[0])
  const twice = firstTwice(text, wanted)
  if (twice !== undefined) throw notThat(`duplicate field \`${twice}\``)
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

/** The first of these names that stands twice in an object, where JSON.parse would take the last without a word. */
function firstTwice(text: string, names: readonly string[]): string | undefined {
  const seen = new Set<string>()
  // The text is known to be JSON, and an object: what is in quotes after its brace or a comma of its own is a name.
  let depth = 0
  let nameNext = false
  for (let i = 0; i < text.length; i++) {
    const sign = text[i]
    if (sign === '"') {
      const end = endOfString(text, i)
      if (nameNext) {
        const name = JSON.parse(text.slice(i, end + 1)) as string
        if (seen.has(name)) return name
        if (names.includes(name)) seen.add(name)
        nameNext = false
      }
      i = end
    } else if (sign === '{' || sign === '[') nameNext = ++depth === 1
    else if (sign === '}' || sign === ']') depth--
    else if (sign === ',') nameNext = depth === 1
  }
  return undefined
}

/** Where the string that begins at `start` has its second quote. */
function endOfString(text: string, start: number): number {
  let end = start
  let escaped: boolean
  do {
    end = text.indexOf('"', end + 1)
    let before = end - 1
    while (text[before] === '\\') before--
    escaped = (end - before) % 2 === 0
  } while (escaped)
  return end
}

/** The place of the last brace. */
function endOf(text: string): string {
  const lines = text.trimEnd().split('\n')
  return `line ${lines.length} column ${Buffer.byteLength(lines.at(-1)!)}`
}
