import {
  assertFollows,
  checkEvent,
  parsePrimary,
  SigchainRefusal,
  type Primary,
} from '@vertex/directory/sigchain'
import type { UnitStore } from '../../store/index.js'
import { byOpenssl } from '../equation.js'
import type { Answer, Asked, System, SystemRoute } from '../system.js'
import { append, envelopesOf, headIn, lastOf, recordOf } from './store.js'

/** Of a body, as the original's own documents have its proxy do. */
const MAX_BODY_BYTES = 64 * 1024

/** Signed histories of identities: docs/directory/sigchains.md. */
export function sigchainSystem(store: UnitStore, now: () => number): System {
  const chain = '/v1/sigchains/:scheme/:id'
  const health: SystemRoute = {
    method: 'get',
    path: '/v1/healthz',
    takesBody: false,
    handle: () => Promise.resolve(json(200, { status: 'ok' })),
  }
  return {
    name: 'sigchain',
    paths: ['/v1/healthz', '/v1/sigchains'],
    anyOrigin: true,
    maxBodyBytes: MAX_BODY_BYTES,
    refusal,
    routes: [
      health,
      aboutChain('get', chain, (primary) => showChain(store, primary)),
      aboutChain('get', `${chain}/head`, (primary) => showHead(store, primary)),
      aboutChain('post', `${chain}/events`, (primary, body) =>
        takeEvent(store, primary, body, now()),
      ),
    ],
  }
}

/** A route whose path names a primary, and whose refusals are the rules' own. */
function aboutChain(
  method: SystemRoute['method'],
  path: string,
  answer: (primary: Primary, body: Uint8Array) => Promise<Answer>,
): SystemRoute {
  const handle = async ({ params, body }: Asked) => {
    try {
      return await answer(parsePrimary(`${params['scheme']}:${params['id']}`), body)
    } catch (error) {
      if (!(error instanceof SigchainRefusal)) throw error
      return refusal(error.isConflict ? 409 : 400, error.message)
    }
  }
  return { method, path, takesBody: method === 'post', handle }
}

async function showChain(store: UnitStore, primary: Primary): Promise<Answer> {
  const pages = envelopesOf(store, primary)
  const first = await pages.next()
  if (first.done === true) return noChain
  const second = await pages.next()
  const whole = second.done === true
  const body = whole ? linesOf(first.value) : linesOfAll([first.value, second.value], pages)
  return { status: 200, type: 'application/jsonl', body }
}

async function showHead(store: UnitStore, primary: Primary): Promise<Answer> {
  const last = await lastOf(store, primary)
  if (last === undefined) return noChain
  const { envelope: body, seq } = last
  return { status: 200, type: 'application/json', body, record: recordOf(primary, seq) }
}

async function takeEvent(
  store: UnitStore,
  primary: Primary,
  body: Uint8Array,
  at: number,
): Promise<Answer> {
  // What costs is done before the unit begins; in it only what another writer may have changed is looked at again.
  const event = checkEvent(await lastOf(store, primary), body, primary, byOpenssl)
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(body)
  await store.inUnit(async (unit) => {
    assertFollows(await headIn(unit, primary), event.envelope.payload)
    await append(unit, primary, event, { text, at })
  })
  const { seq, hash } = event
  return { ...json(201, { seq, hash }), record: recordOf(primary, seq) }
}

/** A line each. Between its parts JSON may have line ends, which a line cannot: there they become spaces. */
const linesOf = (envelopes: readonly string[]): string =>
  envelopes.map((envelope) => `${envelope.trim().replace(/[\r\n]/g, ' ')}\n`).join('')

async function* linesOfAll(
  begun: readonly (readonly string[])[],
  rest: AsyncIterable<readonly string[]>,
): AsyncGenerator<string> {
  for (const envelopes of begun) yield linesOf(envelopes)
  for await (const envelopes of rest) yield linesOf(envelopes)
}

/** `conflict` is documented; the others are this server's own. */
const codes: Readonly<Record<number, string>> = {
  400: 'bad_request',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'too_large',
  429: 'rate_limited',
  503: 'unavailable',
}

function refusal(status: number, message: string): Answer {
  const code = codes[status] ?? (status < 500 ? 'bad_request' : 'internal')
  return { ...json(status, { error: { code, message } }), code }
}

function json(status: number, value: object): Answer {
  return { status, type: 'application/json', body: JSON.stringify(value) }
}

const noChain = refusal(404, 'there is no chain of this primary')
