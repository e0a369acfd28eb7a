import { JsonProblem, parseStrictJson } from '@vertex/directory/json'
import type { Answer } from '../system.js'

/*
 * JSON-RPC 2.0, as far as the keyserver has it: one call, which has an id. docs/spec/keyserver.md, section 8
 */

/** Beside those of JSON-RPC: which are the keyserver's own, for nothing else is documented. */
export const codes = {
  parse: -32700,
  request: -32600,
  method: -32601,
  params: -32602,
  internal: -32603,
  refused: -32000,
  not_found: -32001,
  conflict: -32002,
  payment: -32003,
  rate_limited: -32004,
  unavailable: -32005,
} as const

export type RpcCode = keyof typeof codes

/** A call that is not one, or whose params are not. */
export class RpcProblem extends Error {
  override readonly name = 'RpcProblem'
  constructor(
    readonly code: RpcCode,
    message: string,
    /** As it is written; `null` where none was found. */
    readonly id = 'null',
  ) {
    super(message)
  }
}

export interface Call {
  readonly method: string
  readonly params: Params
  /** As it is written. */
  readonly id: string
}

/** So many braces, brackets, commas and colons a call may have; one of a hundred KeyInits has some 3,500. */
const MOST_SIGNS = 8_000
const MOST_ID = 256
const SIGNS = new Set(Buffer.from('{}[],:'))

/** @throws RpcProblem */
export function readCall(contentType: string | undefined, body: Uint8Array): Call {
  if (!/^application\/json *(?:;|$)/i.test(contentType ?? ''))
    throw new RpcProblem('request', 'send a call as application/json')
  let signs = 0
  for (const byte of body) if (SIGNS.has(byte) && ++signs > MOST_SIGNS) throw tooMany()
  const call = parse(body) as Readonly<Record<string, unknown>>
  const id = idOf(new TextDecoder().decode(body))
  if (id === undefined)
    throw new RpcProblem('request', 'a call needs an id, a text or a number of at most 256 signs')
  if (call['jsonrpc'] !== '2.0') throw new RpcProblem('request', 'jsonrpc must be "2.0"', id)
  if (typeof call['method'] !== 'string')
    throw new RpcProblem('request', 'method must be a string', id)
  return { method: call['method'], params: new Params(call['params'], id), id }
}

const tooMany = () => new RpcProblem('request', 'a call does not have so many parts')

function parse(body: Uint8Array): object {
  try {
    return parseStrictJson(body)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    const broken = error.message.startsWith('is not valid')
    throw new RpcProblem(broken ? 'parse' : 'request', `the call ${error.message}`)
  }
}

/**
 * The id of a call, as it is written: a number of a client may be larger than those that JavaScript has.
 * @param text a JSON object without members that are there twice
 */
export function idOf(text: string): string | undefined {
  let depth = 0
  let nameNext = false
  for (let i = 0; i < text.length; i++) {
    const sign = text[i]!
    if (sign === '"') {
      const end = endOfString(text, i)
      if (depth === 1 && nameNext && JSON.parse(text.slice(i, end + 1)) === 'id')
        return valueAt(text, text.indexOf(':', end) + 1)
      nameNext = false
      i = end
    } else if (sign === '{' || sign === '[') nameNext = ++depth === 1
    else if (sign === '}' || sign === ']') depth--
    else if (sign === ',') nameNext = depth === 1
  }
  return undefined
}

function valueAt(text: string, from: number): string | undefined {
  const start = from + text.slice(from).search(/[^\s]/)
  const value =
    text[start] === '"'
      ? text.slice(start, endOfString(text, start) + 1)
      : /^-?[0-9][0-9.eE+-]*/.exec(text.slice(start, start + MOST_ID + 1))?.[0]
  return value === undefined || value.length > MOST_ID ? undefined : value
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i
  }
  return text.length
}

/** The params of a call, by names in any case. */
export class Params {
  readonly #members = new Map<string, unknown>()

  /** @throws RpcProblem */
  constructor(
    given: unknown,
    private readonly id: string,
  ) {
    const one: unknown = Array.isArray(given) && given.length <= 1 ? given[0] : given
    if (one === undefined || one === null) return
    if (typeof one !== 'object' || Array.isArray(one))
      throw this.#problem('params must be an object')
    for (const [name, value] of Object.entries(one)) {
      const key = name.toLowerCase()
      if (this.#members.has(key)) throw this.#problem('params has a member twice')
      this.#members.set(key, value)
    }
  }

  text(name: string): string {
    const value = this.any(name)
    // A text that no table can hold finds nothing there.
    if (typeof value !== 'string' || /[\0\p{Surrogate}]/u.test(value))
      throw this.#problem(`${name} must be a string`)
    return value
  }

  count(name: string): number {
    const value = this.any(name)
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw this.#problem(`${name} must be a whole number`)
    return value
  }

  optionalCount(name: string): number | undefined {
    return this.any(name) == null ? undefined : this.count(name)
  }

  list(name: string): readonly unknown[] {
    const value = this.any(name)
    if (!Array.isArray(value)) throw this.#problem(`${name} must be a list`)
    return value
  }

  /** Texts that may be there, of one member or of another that has several. */
  texts(one: string, several: string): readonly string[] {
    const first = this.any(one) == null ? [] : [this.text(one)]
    if (this.any(several) == null) return first
    const list = this.list(several)
    if (list.length > 100 || !list.every((each) => typeof each === 'string'))
      throw this.#problem(`${several} must be a list of at most 100 strings`)
    return [...first, ...list]
  }

  any(name: string): unknown {
    return this.#members.get(name.toLowerCase())
  }

  #problem(message: string): RpcProblem {
    return new RpcProblem('params', message, this.id)
  }
}

const TYPE = 'application/json; charset=utf-8'

export const resultAnswer = (id: string, result: object): Answer => ({
  status: 200,
  type: TYPE,
  body: `{"jsonrpc":"2.0","result":${JSON.stringify(result)},"id":${id}}\n`,
})

/** @param id as it was written */
export const errorAnswer = (code: RpcCode, message: string, id = 'null', status = 200): Answer => ({
  status,
  type: TYPE,
  body: `{"jsonrpc":"2.0","error":${JSON.stringify({ code: codes[code], message })},"id":${id}}\n`,
  code,
})
