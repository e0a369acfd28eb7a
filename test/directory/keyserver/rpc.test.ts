import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { idOf } from '../../../src/directory/keyserver/rpc.js'
import { engines } from '../../store/engines.js'
import { startVertex } from '../../http/vertex.js'
import { DOMAIN, startKeyserver, type TestKeyserver } from './server.js'

const [sqlite] = engines
let server: TestKeyserver
beforeAll(async () => {
  server = await startKeyserver(await sqlite!.create())
})
afterAll(async () => {
  await server.stop()
  await sqlite!.cleanUp()
})

const json = { 'Content-Type': 'application/json' }
const capabilities = '"jsonrpc":"2.0","method":"KeyRepository.Capabilities"'

describe('a call', () => {
  it.each([
    ['1', '1'],
    ['"a\\"b"', '"a\\"b"'],
    ['""', '""'],
    // As the client's library makes them: more than JavaScript can count to.
    ['5577006791947779410', '5577006791947779410'],
    ['-1.5e+3', '-1.5e+3'],
  ])('with the id %s is answered with it, as it is written', async (id, answered) => {
    const { status, text } = await server.post(`{${capabilities},"params":{},"id": ${id} }`)
    expect(status).toBe(200)
    expect(text).toMatch(/^\{"jsonrpc":"2\.0","result":\{"CAPABILITIES":/)
    expect(text.endsWith(`,"id":${answered}}\n`)).toBe(true)
  })

  it('is taken with params of any case, in a list, or none', async () => {
    const fetch = async (params: unknown, method = 'KeyHashchain.FetchHashChain') => {
      const body = JSON.stringify({ jsonrpc: '2.0', method, params, id: 'x' })
      return JSON.parse((await server.post(body)).text).result
    }
    const first = await fetch({ StartPosition: 0 })
    expect(first).toEqual({ HCEntries: [expect.any(String)], HCFirstPos: 0 })
    expect(await fetch({ startPosition: 0, endposition: null })).toEqual(first)
    expect(await fetch([{ StartPosition: 0 }])).toEqual(first)
    expect(await fetch({ StartPosition: 0 }, 'KeyRepository.FetchHashChain')).toEqual(first)
    expect(await fetch(undefined, 'KeyHashchain.FetchLastHashChain')).toEqual({
      HCEntry: first.HCEntries[0],
      HCPos: 0,
    })
    expect(await fetch([], 'KeyHashchain.FetchLastHashChain')).toMatchObject({ HCPos: 0 })
  })

  it.each([
    ['no JSON', '{', -32700, null],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), -32700, null],
    ['nothing', '', -32700, null],
    ['a batch', `[{${capabilities},"id":1}]`, -32600, null],
    ['a text', '"x"', -32600, null],
    ['no id', `{${capabilities}}`, -32600, null],
    ['an id of nothing', `{${capabilities},"id":null}`, -32600, null],
    ['an id of more', `{${capabilities},"id":{"id":1}}`, -32600, null],
    ['a long id', `{${capabilities},"id":"${'x'.repeat(300)}"}`, -32600, null],
    ['an id that is not its own', `{${capabilities},"params":{"id":1}}`, -32600, null],
    ['another version', '{"jsonrpc":"1.0","method":"x","id":1}', -32600, 1],
    ['no method', '{"jsonrpc":"2.0","id":1}', -32600, 1],
    ['a member twice', `{${capabilities},"id":1,"id":2}`, -32600, null],
    ['a member of another kind', `{${capabilities},"__proto__":1,"id":2}`, -32600, null],
    ['many parts', `{${capabilities},"id":1,"params":[${'[],'.repeat(9000)}[]]}`, -32600, null],
    [
      'too deep',
      `{${capabilities},"id":1,"params":${'['.repeat(40)}${']'.repeat(40)}}`,
      -32600,
      null,
    ],
    ['an unknown method', '{"jsonrpc":"2.0","method":"KeyRepository.Delete","id":1}', -32601, 1],
    ['a method of objects', '{"jsonrpc":"2.0","method":"constructor","id":1}', -32601, 1],
    ['params of another kind', `{${capabilities},"params":"x","id":1}`, -32602, 1],
    ['params twice, in two cases', `{${capabilities},"params":{"A":1,"a":2},"id":1}`, -32602, 1],
  ])('of %s is refused', async (_, body, code, id) => {
    const response = await fetch(`${server.url}/`, { method: 'POST', headers: json, body })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
    const { jsonrpc, error, id: answered } = await response.json()
    expect({ jsonrpc, code: error.code, id: answered }).toEqual({ jsonrpc: '2.0', code, id })
    expect(error.message).toEqual(expect.any(String))
  })

  it.each([
    ['KeyRepository.FetchUID', {}],
    ['KeyRepository.FetchUID', { UIDIndex: 'AAAA' }],
    ['KeyRepository.FetchUID', { UIDIndex: 5 }],
    ['KeyRepository.CreateUID', {}],
    ['KeyRepository.CreateUID', { UIDMessage: 'x' }],
    ['KeyRepository.CreateUID', { UIDMessage: {}, Token: 5 }],
    ['KeyRepository.CreateUID', { UIDMessage: [] }],
    ['KeyRepository.UpdateUID', { UIDMessage: null }],
    ['KeyRepository.GetLink', {}],
    ['KeyHashchain.FetchHashChain', {}],
    ['KeyHashchain.FetchHashChain', { StartPosition: -1 }],
    ['KeyHashchain.FetchHashChain', { StartPosition: 0.5 }],
    ['KeyHashchain.FetchHashChain', { StartPosition: '0' }],
    ['KeyHashchain.FetchHashChain', { StartPosition: 3, EndPosition: 2 }],
    ['KeyHashchain.LookupUID', {}],
    ['KeyHashchain.LookupUID', { Identity: 'no-domain' }],
    ['KeyHashchain.LookupUID', { Identity: 'a\u0000b@mute.example' }],
    ['KeyInitRepository.AddKeyInit', { SigPubKey: 'x', KeyInits: [] }],
    ['KeyInitRepository.AddKeyInit', { SigPubKey: Buffer.alloc(32).toString('base64') }],
    [
      'KeyInitRepository.AddKeyInit',
      { SigPubKey: Buffer.alloc(32).toString('base64'), KeyInits: [{}], Tokens: [1] },
    ],
    ['KeyInitRepository.FetchKeyInit', { SigKeyHash: 'AAAA' }],
    [
      'KeyInitRepository.FlushKeyInit',
      { SigPubKey: Buffer.alloc(32).toString('base64'), Nonce: 1, Signature: 'x' },
    ],
  ])('of %s with %j is told that its params are wrong', async (method, params) => {
    expect(await server.refusal(method, params)).toMatchObject({ code: -32602 })
  })

  it.each([
    ['KeyRepository.FetchUID', { UIDIndex: Buffer.alloc(32).toString('base64') }],
    ['KeyRepository.GetLink', { Domain: 'a\u0001.example' }],
    ['KeyInitRepository.FetchKeyInit', { SigKeyHash: Buffer.alloc(64).toString('base64') }],
  ])('of %s for what is not there is told so', async (method, params) => {
    expect(await server.refusal(method, params)).toMatchObject({ code: -32001 })
  })

  it('for a name that nobody has finds no place', async () => {
    const found = await server.call('KeyHashchain.LookupUID', { Identity: `nobody@${DOMAIN}` })
    expect(found).toEqual({ HCPositions: [] })
  })
})

describe('the chain is given', () => {
  it('as the document says: one, some, or the last where it has ended', async () => {
    const { HCEntry } = await server.call('KeyHashchain.FetchLastHashChain')
    for (const StartPosition of [0, 1, 2 ** 53 - 1])
      expect(await server.call('KeyHashchain.FetchHashChain', { StartPosition })).toEqual({
        HCEntries: [HCEntry],
        HCFirstPos: 0,
      })
    const range = { StartPosition: 5, EndPosition: 9 }
    expect(await server.call('KeyHashchain.FetchHashChain', range)).toEqual({
      HCEntries: [HCEntry],
      HCFirstPos: 0,
    })
  })

  it('in one answer, however long, without being kept as a whole', async () => {
    const other = await startKeyserver(await sqlite!.create())
    try {
      const { HCEntry } = await other.call('KeyHashchain.FetchLastHashChain')
      await other.store.change(
        `INSERT INTO keyserver_entries SELECT i, entry, 'h' || i, 'u' || i, message, server_signature,
          name_tag, sig_key_hash, not_after, at FROM keyserver_entries,
          (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2499) SELECT i FROM n)
         WHERE position = 0 RETURNING 1`,
        [],
      )
      const all = await other.call('KeyHashchain.FetchHashChain', {
        StartPosition: 0,
        EndPosition: 5000,
      })
      expect(all).toEqual({ HCEntries: Array(2500).fill(HCEntry), HCFirstPos: 0 })
      const most = { StartPosition: 1200, EndPosition: 2400 }
      const part = await other.call('KeyHashchain.FetchHashChain', most)
      expect([part.HCEntries.length, part.HCFirstPos]).toEqual([1201, 1200])
    } finally {
      await other.stop()
    }
  })
})

describe('HTTP', () => {
  const body = `{${capabilities},"id":1}`
  it('takes JSON only', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp'])
      expect((await server.post(body, { 'Content-Type': type })).text).toContain('-32600')
    const charset = { 'Content-Type': 'application/json; charset=utf-8' }
    expect((await server.post(body, charset)).text).toContain('CAPABILITIES')
  })

  it('answers in the form of a call what was none', async () => {
    for (const [path, init, status] of [
      ['/', {}, 405],
      ['/else', {}, 404],
      ['/', { method: 'POST', headers: json, body: 'x'.repeat(1024 * 1024 + 1) }, 413],
    ] as const) {
      const response = await fetch(server.url + path, init)
      expect(response.status).toBe(status)
      expect(await response.json()).toMatchObject({
        jsonrpc: '2.0',
        id: null,
        error: { code: -32600 },
      })
    }
  })

  it('is the root of a Vertex only for calls, and only where names are given out', async () => {
    const without = await startVertex()
    const vertex = await startVertex({ VERTEX_KEYSERVER_DOMAINS: DOMAIN })
    try {
      const call = (url: string, more: RequestInit = {}) =>
        fetch(`${url}/`, { method: 'POST', headers: json, body, ...more })
      const none = await call(without.url)
      expect([none.status, await none.json()]).toMatchObject([404, { err_type: 'not_found' }])
      const got = await call(vertex.url)
      expect([got.status, await got.json()]).toMatchObject([
        200,
        { result: { CAPABILITIES: { DOMAINS: [DOMAIN] } } },
      ])
      expect(got.headers.get('access-control-allow-origin')).toBe('*')
      // What was there before is as it was, with any other method and below.
      for (const [method, path] of [
        ['GET', '/'],
        ['PUT', '/'],
        ['DELETE', '/'],
        ['POST', '/else'],
        ['POST', '//'],
      ] as const) {
        const [a, b] = await Promise.all(
          [without, vertex].map(async ({ url }) => {
            const response = await fetch(url + path, { method })
            const { err_msg, err_type } = await response.json()
            return { status: response.status, err_msg, err_type }
          }),
        )
        expect(b).toEqual(a)
        expect(a).toMatchObject({ status: 404, err_type: 'not_found' })
      }
      const preflight = await fetch(`${vertex.url}/`, {
        method: 'OPTIONS',
        headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' },
      })
      expect(preflight.headers.get('access-control-allow-methods')).toBe('POST')
      expect((await fetch(`${vertex.url}/v1/healthz`)).status).toBe(200)
      expect(vertex.log.join('')).toContain('"route":"/"')
    } finally {
      await without.stop()
      await vertex.stop()
    }
  })

  it('counts what writes, and large calls, and not what reads', async () => {
    const vertex = await startVertex({
      VERTEX_KEYSERVER_DOMAINS: DOMAIN,
      VERTEX_RATE_DIRECTORY_WRITES: '2',
    })
    try {
      const call = async (method: string, params: object, pad = 0) => {
        const text = JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }) + ' '.repeat(pad)
        const response = await fetch(`${vertex.url}/`, {
          method: 'POST',
          headers: json,
          body: text,
        })
        const wait = response.headers.get('retry-after')
        return [response.status, (await response.json()).error?.code, wait !== null]
      }
      const index = { UIDIndex: Buffer.alloc(32).toString('base64') }
      for (let i = 0; i < 5; i++)
        expect(await call('KeyRepository.FetchUID', index)).toEqual([200, -32001, false])
      const hash = { SigKeyHash: Buffer.alloc(64).toString('base64') }
      const statuses = []
      for (let i = 0; i < 3; i++) statuses.push(await call('KeyInitRepository.FetchKeyInit', hash))
      expect(statuses).toEqual([
        [200, -32001, false],
        [200, -32001, false],
        [429, -32004, true],
      ])
      expect(await call('KeyRepository.FetchUID', index)).toEqual([200, -32001, false])
      expect(await call('KeyRepository.FetchUID', index, 5000)).toEqual([429, -32004, true])
    } finally {
      await vertex.stop()
    }
  })

  it('says when the database is away, and when to come back', async () => {
    const other = await startKeyserver(await sqlite!.create())
    await other.keyserver.last()
    await other.stop(false)
    try {
      for (const method of ['KeyHashchain.FetchLastHashChain', 'KeyRepository.Capabilities']) {
        const body = JSON.stringify({ jsonrpc: '2.0', method, id: 1 })
        const response = await fetch(`${other.url}/`, { method: 'POST', headers: json, body })
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2'])
        expect(await response.json()).toMatchObject({ error: { code: -32005 }, id: null })
      }
    } finally {
      await other.stop()
    }
  })

  it('says nothing of names and bodies in the log', () => {
    expect(server.log.length).toBeGreaterThan(10)
    expect(server.log.join('')).not.toContain('nobody')
  })
})

it.each([
  ['{"a":{"id":1},"id":2}', '2'],
  ['{"a":["id"],"b":"\\"id\\":3","id"  :\n 4}', '4'],
  ['{"\\u0069d":5}', '5'],
  ['{"a":1}', undefined],
  ['{"id":true}', undefined],
  ['{"id":[1]}', undefined],
])('finds the id of %s', (text, id) => {
  expect(idOf(text)).toBe(id)
})
