import {
  consistencyPath,
  entryBundle,
  formatVerifierKey,
  inclusionPath,
  parseTilePath,
  tileBytes,
  toBase64,
  widthIn,
  type Checkpoint,
} from '@vertex/directory/log'
import type { UnitStore } from '../../store/index.js'
import type { Answer, Asked, System } from '../system.js'
import { placeOf } from './place.js'
import type { SignedLog, SignedTree } from './signed.js'
import { LEAVES } from './tables.js'
import { cut, hashesOf, tilesOf } from './tree.js'

/** How long a checkpoint may be kept by who asked, and how long who has asked too early waits. Seconds. */
const SOON = 2
const FOR_EVER = 'public, max-age=31536000, immutable'
const BRIEFLY = `public, max-age=${SOON}`

/** Kinds of which everybody may ask for the proof, who knows the row that it is about. */
const provable = new Set(['sigchain-event', 'account-bundle', 'keyserver-entry'])

/** What is published of the log. docs/spec/directory-log.md, section 3; docs/directory/log.md */
export function logSystem(log: SignedLog): System {
  const published = new Published(log)
  const get = (path: string, handle: (asked: Asked) => Promise<Answer>) =>
    ({ method: 'get', path, takesBody: false, handle: told(handle) }) as const
  return {
    name: 'log',
    paths: ['/log'],
    anyOrigin: true,
    maxBodyBytes: 0,
    refusal,
    routes: [
      get('/log/checkpoint', ({ query }) => published.checkpoint(query)),
      get('/log/key', ({ query }) => {
        parametersOf(query, [])
        return Promise.resolve(text(`${formatVerifierKey(log.key)}\n`, BRIEFLY))
      }),
      get('/log/:place/checkpoint', ({ params, query }) => {
        published.assertAt(params['place'])
        return published.checkpoint(query)
      }),
      get('/log/:place/tile/*path', ({ params, query }) => {
        published.assertAt(params['place'])
        return published.tile(joined(params), query)
      }),
      get('/log/proof/inclusion', ({ query }) => published.inclusion(query)),
      get('/log/proof/consistency', ({ query }) => published.consistency(query)),
      get('/log/proof/:kind/*path', ({ params, query }) =>
        published.record(params['kind'] ?? '', joined(params), query),
      ),
    ],
  }
}

/** Express gives the parts of a path that a star stands for as a list. */
const joined = ({ path }: Asked['params']) => [path as unknown].flat().join('/')

/** What is asked for is not so, or not there. */
class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly wait?: number,
  ) {
    super(message)
  }
}

const told = (handle: (asked: Asked) => Promise<Answer>) => async (asked: Asked) => {
  try {
    return await handle(asked)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const answer = refusal(error.status, error.message)
    return error.wait === undefined
      ? answer
      : { ...answer, headers: { 'Retry-After': String(error.wait) } }
  }
}

class Published {
  private readonly store: UnitStore

  constructor(private readonly log: SignedLog) {
    this.store = log.store
  }

  /** @throws Refused where another log was, or none */
  assertAt(place: string | undefined): void {
    const here = placeOf(this.log.key.name)
    if (place !== here) throw new Refused(404, `the log of this database is at /log/${here}`)
  }

  async checkpoint(query: string): Promise<Answer> {
    parametersOf(query, [])
    return text((await this.#last()).text, BRIEFLY)
  }

  async tile(path: string, query: string): Promise<Answer> {
    parametersOf(query, [])
    const tile = parseTilePath(path)
    if (tile === undefined) throw new Refused(400, 'the path is not that of a tile')
    const { size } = await this.#last()
    if (tile.width > widthIn(size, tile))
      throw new Refused(404, 'the last checkpoint has no such tile', SOON)
    const body =
      tile.of === 'hashes'
        ? tileBytes(cut(await tilesOf(this.store)([tile]), tile))
        : await this.#entries(tile.n * 256, tile.width)
    return {
      status: 200,
      type: 'application/octet-stream',
      body,
      headers: { 'Cache-Control': FOR_EVER },
    }
  }

  async inclusion(query: string): Promise<Answer> {
    const given = parametersOf(query, ['index', 'size'])
    const last = await this.#last()
    const size = countOf(given, 'size') ?? last.size
    const index = countOf(given, 'index')
    if (index === undefined) throw new Refused(400, 'index is missing')
    assertWithin(size, last)
    if (index >= size) throw new Refused(400, `index must be below the size, ${size}`)
    const [leaf, root, ...hashes] = await this.#hashes(
      [{ from: index, to: index + 1 }, { from: 0, to: size }, ...inclusionPath(index, size)],
      size,
    )
    return json({ index, size, leaf_hash: leaf, root, hashes })
  }

  async consistency(query: string): Promise<Answer> {
    const given = parametersOf(query, ['from', 'to'])
    const last = await this.#last()
    const to = countOf(given, 'to') ?? last.size
    const from = countOf(given, 'from')
    if (from === undefined) throw new Refused(400, 'from is missing')
    assertWithin(to, last)
    if (from > to) throw new Refused(400, `from must not be above to, ${to}`)
    const [older, root, ...hashes] = await this.#hashes(
      [{ from: 0, to: from }, { from: 0, to }, ...consistencyPath(from, to)],
      to,
    )
    return json({ from, to, from_root: older, to_root: root, hashes })
  }

  /** The proof of a record that stands by itself. 3.9 */
  async record(kind: string, source: string, query: string): Promise<Answer> {
    parametersOf(query, [])
    if (!provable.has(kind)) throw new Refused(404, 'there are no proofs of this kind')
    const proof = await this.log.proofOf({ kind, source }, await this.#last())
    if ('text' in proof) return text(proof.text, 'no-store')
    if (proof.missing === 'unknown') throw new Refused(404, 'the log has no such record')
    throw new Refused(404, 'no checkpoint has it yet', SOON)
  }

  async #last(): Promise<SignedTree> {
    const last = await this.log.last()
    if (last === undefined) throw new Refused(503, 'there is no checkpoint yet', SOON)
    return last
  }

  async #hashes(ranges: readonly { from: number; to: number }[], size: number) {
    return (await hashesOf(tilesOf(this.store), ranges, size)).map(toBase64)
  }

  async #entries(from: number, count: number): Promise<Uint8Array> {
    const rows = await this.store.select(
      `SELECT entry FROM ${LEAVES} WHERE idx >= $1 AND idx < $2 ORDER BY idx`,
      [from, from + count],
    )
    if (rows.length !== count) throw new Error('entries of the log are missing')
    return entryBundle(rows.map((row) => new Uint8Array(row['entry'] as Buffer)))
  }
}

function assertWithin(size: number, last: Checkpoint): void {
  if (size > last.size) throw new Refused(404, `the last checkpoint has ${last.size} entries`, SOON)
}

/** @throws Refused for a name that is not known, or comes twice */
function parametersOf(query: string, names: readonly string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!names.includes(name)) throw new Refused(400, 'there is a parameter that is not known here')
    if (given.has(name)) throw new Refused(400, `${name} is given twice`)
    given.set(name, value)
  }
  return given
}

/** @throws Refused for what is no whole number of the tree */
function countOf(given: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = given.get(name)
  if (value === undefined) return undefined
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(value) || !Number.isSafeInteger(Number(value)))
    throw new Refused(400, `${name} must be a whole number`)
  return Number(value)
}

const text = (body: string, cache: string): Answer => ({
  status: 200,
  type: 'text/plain; charset=utf-8',
  body,
  headers: { 'Cache-Control': cache },
})

const json = (value: object): Answer => ({
  status: 200,
  type: 'application/json',
  body: JSON.stringify(value),
  headers: { 'Cache-Control': 'no-store' },
})

const types: Readonly<Record<number, string>> = {
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'body_too_large',
  429: 'rate_limited',
  500: 'internal_problem',
  503: 'storage_unavailable',
}

/** Errors of the log look like those of the vault. */
function refusal(status: number, message: string): Answer {
  const code = types[status] ?? 'bad_request_params'
  return {
    status,
    type: 'application/json',
    body: JSON.stringify({ err_msg: message, err_type: code }),
    code,
  }
}
