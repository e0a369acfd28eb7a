import type { operations } from '../generated/api.js'
import { responseOf } from '../exchange.js'
import type { Http } from '../http.js'
import { VertexError } from '../errors.js'
import { queryRoutes, routes, type RouteName } from './routes.js'

type Members<T> = [T] extends [never]
  ? object
  : [undefined] extends [T]
    ? Partial<NonNullable<T>>
    : T
type BodyOf<Op> = Op extends { requestBody: { content: { 'application/json': infer Body } } }
  ? Body
  : Op extends { requestBody?: { content: { 'application/json': infer Body } } }
    ? Partial<Body>
    : object
type PathOf<Op> = Op extends { parameters: { path: infer Path } } ? Path : object
type QueryOf<Op> = Op extends { parameters: { query?: infer Query } } ? Members<Query> : object

/** Path, query and body of an operation as one flat object, with the names of openapi.yaml. */
export type RestInput<Name extends RouteName> = BodyOf<operations[Name]> &
  PathOf<operations[Name]> &
  QueryOf<operations[Name]>

/** The body of an operation's 200 answer. */
export type RestOutput<Name extends RouteName> = operations[Name] extends {
  responses: { 200: { content: infer Content } }
}
  ? Content extends { 'application/json': infer Body }
    ? Body
    : string
  : undefined

export interface RestOptions {
  readonly signal?: AbortSignal
  /** Sent raw in the place of the API key, such as the admin token on `/admin/…`. */
  readonly authorization?: string
  /** Goes out as `X-Vertex-Nonce`: 64 hex digits. */
  readonly nonce?: string
  /** Goes out as `X-Vertex-Identity`: the fingerprint of the pinned vault identity. */
  readonly identity?: string
}

type Call<Name extends RouteName> =
  object extends RestInput<Name>
    ? (input?: RestInput<Name>, options?: RestOptions) => Promise<RestOutput<Name>>
    : (input: RestInput<Name>, options?: RestOptions) => Promise<RestOutput<Name>>

/**
 * The REST API as it is on the wire, one call for each operation of openapi.yaml. Nothing is retried or recovered.
 * A call whose answer is not 2xx throws that answer: a native `Response` with its body unread.
 * @throws UnavailableError when there is no answer at all
 */
export type Rest = { readonly [Name in RouteName]: Call<Name> }

/** Makes the calls over one endpoint. */
export function restOver(http: Http): Rest {
  const calls: Partial<Record<RouteName, unknown>> = {}
  for (const name of Object.keys(routes) as RouteName[])
    calls[name] = (input: Record<string, unknown> = {}, options: RestOptions = {}) =>
      invoke(http, name, input, options)
  return Object.freeze(calls) as Rest
}

async function invoke(
  http: Http,
  name: RouteName,
  input: Record<string, unknown>,
  options: RestOptions,
): Promise<unknown> {
  const [method, template] = routes[name]
  const rest = { ...input }
  const path = template.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = rest[key]
    if (typeof value !== 'string' || value === '')
      throw new VertexError('bad_argument', `${name} needs ${key}`)
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- what stands in the path does not travel twice
    delete rest[key]
    return encodeURIComponent(value)
  })
  const inQuery = queryRoutes.has(name)
  const headers: Record<string, string> = {
    ...(options.nonce === undefined ? {} : { 'x-vertex-nonce': options.nonce }),
    ...(options.identity === undefined ? {} : { 'x-vertex-identity': options.identity }),
  }
  const hasMembers = Object.keys(rest).length > 0
  const hasBody = !inQuery && (method === 'POST' || hasMembers)
  const answer = await http.send(method, path, {
    query: inQuery && hasMembers ? (rest as Record<string, string>) : undefined,
    body: hasBody ? rest : undefined,
    headers,
    signal: options.signal,
    authorization: options.authorization,
  })
  // The documented contract of these calls: an app may write `error instanceof Response`.
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  if (answer.status >= 300) throw responseOf(answer)
  const { text } = answer
  if (!(answer.headers['content-type'] ?? '').includes('json'))
    return text === '' ? undefined : text
  return JSON.parse(text) as unknown
}
