import { JsonProblem, parseStrictJson as parse } from '@vertex/directory/json'
import { HttpProblem } from './errors.js'

export { MAX_DEPTH } from '@vertex/directory/json'

/** Parses a body as strict JSON. @throws HttpProblem `bad_request_params` */
export function parseStrictJson(bytes: Uint8Array): unknown {
  try {
    return parse(bytes)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    throw new HttpProblem('bad_request_params', `the body ${error.message}`)
  }
}
