import { concatBytes } from '@noble/hashes/utils.js'
import { VertexError } from './errors.js'

export type Fetch = (input: string, init: RequestInit) => Promise<Response>

/** One HTTP request; the body is JSON already, or bytes. */
export interface Ask {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer> | undefined
  readonly signal?: AbortSignal | undefined
}

/** A whole answer. */
export interface Answer {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Uint8Array
  readonly text: string
}

/**
 * Sends a request and reads the answer to its end, whatever its status. Follows no redirect: one counts as no answer.
 * @throws the signal's reason, VertexError `bad_response` for an answer that is too long, anything for none
 */
export type Exchange = (ask: Ask) => Promise<Answer>

/** The longest answer that is read. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export const tooLong = (status: number): VertexError =>
  new VertexError('bad_response', 'the answer is too long', { status })

/** An answer as far as it is text. */
export type TextAnswer = Omit<Answer, 'bytes'>

/** An answer as `fetch` would have given it. */
export function responseOf({ status, headers, text }: TextAnswer): Response {
  return new Response(text, { status, headers: { ...headers } })
}

/** Exchanges by `fetch`: the browser's, or one that the app brings. */
export function fetchExchange(fetch: Fetch): Exchange {
  return async ({ method, url, headers, body, signal }) => {
    const init: RequestInit = {
      method,
      headers: { ...headers },
      redirect: 'error',
      cache: 'no-store',
      credentials: 'omit',
    }
    if (body !== undefined) init.body = body
    if (signal !== undefined) init.signal = signal
    const response = await fetch(url, init)
    const bytes = await bodyOf(response)
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      bytes,
      text: new TextDecoder().decode(bytes),
    }
  }
}

async function bodyOf(response: Response): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array()
  const reader = response.body.getReader()
  const parts: Uint8Array[] = []
  for (let size = 0; ;) {
    const { done, value } = await reader.read()
    if (done) return concatBytes(...parts)
    size += value.length
    if (size > MAX_ANSWER_BYTES) {
      await reader.cancel()
      throw tooLong(response.status)
    }
    parts.push(value)
  }
}
