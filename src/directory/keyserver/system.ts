import { KeyserverRefusal, type KeyserverReason } from '@vertex/directory/keyserver'
import type { Answer, Asked, System } from '../system.js'
import type { Keyserver } from './keyserver.js'
import {
  errorAnswer,
  readCall,
  resultAnswer,
  RpcProblem,
  type Call,
  type Params,
  type RpcCode,
} from './rpc.js'

const MAX_BODY_BYTES = 1024 * 1024
/** So many entries are answered as one text. */
const AT_ONCE = 500

/** Names, in a chain that says none, and keys that are given out once: docs/directory/keyserver.md. */
export function keyserverSystem(keyserver: Keyserver): System {
  return {
    name: 'keyserver',
    // The root is shared with whatever else a server has there.
    paths: [],
    anyOrigin: true,
    maxBodyBytes: MAX_BODY_BYTES,
    refusal,
    routes: [
      {
        method: 'post',
        path: '/',
        takesBody: true,
        countsWrites: true,
        handle: (asked) => answer(keyserver, asked),
      },
    ],
  }
}

async function answer(keyserver: Keyserver, asked: Asked): Promise<Answer> {
  let id = 'null'
  try {
    const type = asked.headers['content-type']
    const call = readCall(typeof type === 'string' ? type : undefined, asked.body)
    id = call.id
    const method = Object.hasOwn(methods, call.method) ? methods[call.method] : undefined
    if (method === undefined) throw new RpcProblem('method', 'there is no such method', id)
    return await method(keyserver, call, asked)
  } catch (thrown) {
    if (thrown instanceof RpcProblem) return errorAnswer(thrown.code, thrown.message, thrown.id)
    if (thrown instanceof KeyserverRefusal)
      return errorAnswer(codeOf[thrown.reason], thrown.message, id)
    throw thrown
  }
}

const codeOf: Readonly<Record<KeyserverReason, RpcCode>> = {
  malformed: 'params',
  refused: 'refused',
  not_found: 'not_found',
  conflict: 'conflict',
  payment: 'payment',
}

type Method = (keyserver: Keyserver, call: Call, asked: Asked) => Promise<Answer>

const paid = (params: Params, { countWrite }: Asked) => ({
  tokens: params.texts('Token', 'Tokens'),
  countWrite,
})

async function fetchHashChain(keyserver: Keyserver, { params, id }: Call): Promise<Answer> {
  const { from, to, pages } = await keyserver.entries(
    params.count('StartPosition'),
    params.optionalCount('EndPosition'),
  )
  if (to - from >= AT_ONCE) return { ...resultAnswer(id, {}), body: chainText(pages, from, id) }
  const HCEntries: string[] = []
  for await (const page of pages) HCEntries.push(...page)
  return resultAnswer(id, { HCEntries, HCFirstPos: from })
}

async function* chainText(pages: AsyncIterable<readonly string[]>, from: number, id: string) {
  let before = `{"jsonrpc":"2.0","result":{"HCEntries":["`
  for await (const page of pages) {
    yield before + page.join('","')
    before = '","'
  }
  yield `"],"HCFirstPos":${from}},"id":${id}}\n`
}

/** docs/spec/keyserver.md, 8.3 */
const methods: Readonly<Record<string, Method>> = {
  'KeyRepository.Capabilities': async (keyserver, { id }) =>
    resultAnswer(id, await keyserver.capabilities(Object.keys(methods))),

  'KeyRepository.FetchUID': async (keyserver, { params, id }) =>
    resultAnswer(id, { UIDMessageReply: await keyserver.fetchUid(params.text('UIDIndex')) }),

  'KeyRepository.CreateUID': async (keyserver, { params, id }, asked) => {
    const reply = await keyserver.create(params.any('UIDMessage'), paid(params, asked))
    return resultAnswer(id, { UIDMessageReply: reply })
  },

  'KeyRepository.UpdateUID': async (keyserver, { params, id }, asked) => {
    const reply = await keyserver.update(params.any('UIDMessage'), paid(params, asked))
    return resultAnswer(id, { UIDMessageReply: reply })
  },

  'KeyRepository.GetLink': async (keyserver, { params, id }) => {
    const { identity, position } = await keyserver.link(params.text('Domain'))
    return resultAnswer(id, { HCPos: position, Identity: identity })
  },

  'KeyHashchain.FetchHashChain': fetchHashChain,
  'KeyRepository.FetchHashChain': fetchHashChain,

  'KeyHashchain.FetchLastHashChain': async (keyserver, { id }) => {
    const { position, entry } = await keyserver.last()
    return resultAnswer(id, { HCEntry: entry, HCPos: position })
  },

  'KeyHashchain.LookupUID': async (keyserver, { params, id }) =>
    resultAnswer(id, { HCPositions: await keyserver.positions(params.text('Identity')) }),

  'KeyInitRepository.AddKeyInit': async (keyserver, { params, id }, asked) => {
    const [key, keyInits] = [params.text('SigPubKey'), params.list('KeyInits')]
    const Signatures = await keyserver.addKeyInits(key, keyInits, paid(params, asked))
    return resultAnswer(id, { Signatures })
  },

  'KeyInitRepository.FetchKeyInit': async (keyserver, { params, id }, { countWrite }) => {
    const KeyInit = await keyserver.fetchKeyInit(params.text('SigKeyHash'), countWrite)
    return resultAnswer(id, { KeyInit })
  },

  'KeyInitRepository.FlushKeyInit': async (keyserver, { params, id }, { countWrite }) => {
    const [key, nonce] = [params.text('SigPubKey'), params.count('Nonce')]
    await keyserver.flushKeyInits(key, nonce, params.text('Signature'), countWrite)
    return resultAnswer(id, {})
  },
}

/** What is wrong before a call is looked at, or with the server: HTTP says it too. */
function refusal(status: number, message: string): Answer {
  const known: Readonly<Record<number, RpcCode>> = {
    429: 'rate_limited',
    500: 'internal',
    503: 'unavailable',
  }
  return errorAnswer(known[status] ?? 'request', message, 'null', status)
}
