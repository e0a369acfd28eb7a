import { HttpProblem } from './errors.js'

/**
 * The query of a request target as plain members. Stricter than forms are: nothing twice, valid percent-encoding only.
 * @throws HttpProblem `bad_request_params`
 */
export function parseQuery(target: string): Record<string, string> {
  const start = target.indexOf('?')
  const query = new Map<string, string>()
  const pairs = start === -1 ? [] : target.slice(start + 1).split('&')
  for (const pair of pairs) {
    if (pair === '') continue
    const middle = pair.indexOf('=')
    const name = decode(middle === -1 ? pair : pair.slice(0, middle))
    if (query.has(name))
      throw new HttpProblem('bad_request_params', 'the query gives a parameter twice')
    query.set(name, middle === -1 ? '' : decode(pair.slice(middle + 1)))
  }
  return Object.fromEntries(query)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new HttpProblem('bad_request_params', 'the query is not valid percent-encoding')
  }
}
