/** A text is not the JSON that is wanted. The message goes on after a name for the text, and quotes nothing of it. */
export class JsonProblem extends Error {
  override readonly name = 'JsonProblem'
}

/** How deep a text may nest. */
export const MAX_DEPTH = 16

interface Level {
  /** Member names seen so far; null inside an array. */
  readonly names: Set<string> | null
  nameExpected: boolean
}

/**
 * Parses one JSON object, without what JSON.parse lets through: nesting that later overflows a stack, a member given
 * twice (the last would win silently), `__proto__`, bytes that are not UTF-8, and anything but an object at the top.
 * @throws JsonProblem
 */
export function parseStrictJson(bytes: Uint8Array): object {
  const text = decode(bytes)
  inspect(text)
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new JsonProblem('must be a JSON object')
  return value
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new JsonProblem('is not valid UTF-8')
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The engine's own message quotes the text, which may hold a secret.
    throw new JsonProblem('is not valid JSON')
  }
}

/** One pass over the text, without recursion. Sees the structure only; JSON.parse judges the grammar afterwards. */
function inspect(text: string): void {
  const levels: Level[] = []
  for (let i = 0; i < text.length; i++) {
    const level = levels.at(-1)
    const sign = text.charAt(i)
    switch (sign) {
      case '{':
      case '[':
        if (levels.length === MAX_DEPTH)
          throw new JsonProblem(`nests deeper than ${MAX_DEPTH} levels`)
        levels.push(
          sign === '{'
            ? { names: new Set(), nameExpected: true }
            : { names: null, nameExpected: false },
        )
        break
      case '}':
      case ']':
        levels.pop()
        break
      case ',':
        if (level) level.nameExpected = level.names !== null
        break
      case '"': {
        const end = endOfString(text, i)
        if (level?.names && level.nameExpected) {
          noteName(level.names, text.slice(i, end + 1))
          level.nameExpected = false
        }
        i = end
        break
      }
      default:
        break
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i
  }
  throw new JsonProblem('is not valid JSON')
}

function noteName(names: Set<string>, quoted: string): void {
  const name = quoted.includes('\\') ? String(parse(quoted)) : quoted.slice(1, -1)
  if (names.has(name)) throw new JsonProblem('gives a member twice')
  if (name === '__proto__') throw new JsonProblem('has a member that is not allowed')
  names.add(name)
}
