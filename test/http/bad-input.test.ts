import { request as rawRequest } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { goodBodies } from './wild.js'
import { adminToken, startVertex, type TestVertex } from './vertex.js'

let vertex: TestVertex
let key: string
beforeAll(async () => {
  vertex = await startVertex()
  key = (await vertex.user('somebody')).key
})
afterAll(() => vertex.stop())

const uuid = '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02'
const admin = (path: string) => path.startsWith('/admin')
const keyFor = (path: string) => (admin(path) ? adminToken : key)
const method = (path: string) => (/revoke|delete/.test(path) ? 'DELETE' : 'POST')

/** Users, keys and tombstones as anyone could see them. */
async function state(): Promise<unknown> {
  const again = await vertex.admin('POST', '/admin/create-user', { body: { name: 'somebody' } })
  const keys = await vertex.call('GET', '/ecdsa/keys', { key })
  return [again.body, keys.body, vertex.log.filter((line) => line.includes('"event"')).length]
}

describe.each(Object.keys(goodBodies))('%s', (path) => {
  const good = goodBodies[path] ?? {}
  const ask = (raw: string | Uint8Array | undefined, headers: Record<string, string> = {}) =>
    vertex.call(method(path), path, { key: keyFor(path), raw, headers })

  it('refuses bad bodies with a documented 4xx and changes nothing', async () => {
    const before = await state()
    const name = Object.keys(good)[0] ?? ''
    const text = JSON.stringify(good)
    const cases: [string, string | Uint8Array, number, Record<string, string>?][] = [
      ['an unknown member', JSON.stringify({ ...good, extra: 1 }), 400],
      ['a member twice', `{"${name}":1,${text.slice(1)}`, 400],
      ['__proto__', `{"__proto__":{"isAdmin":true},${text.slice(1)}`, 400],
      ['constructor', JSON.stringify({ ...good, constructor: { prototype: {} } }), 400],
      ['a wrong type', JSON.stringify({ ...good, [name]: { $gt: '' } }), 400],
      ['null', JSON.stringify({ ...good, [name]: null }), 400],
      ['an array of it', JSON.stringify([good]), 400],
      ['no member', '{}', 400],
      ['broken JSON', text.slice(0, -1), 400],
      ['deep JSON', `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 400],
      ['bytes that are no text', Uint8Array.of(0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d), 400],
      ['a body that is too large', JSON.stringify({ ...good, extra: 'x'.repeat(70_000) }), 413],
      ['text', text, 415, { 'Content-Type': 'text/plain' }],
      ['a form', 'name=x', 415, { 'Content-Type': 'application/x-www-form-urlencoded' }],
      ['another charset', text, 415, { 'Content-Type': 'application/json; charset=utf-16' }],
      ['compression', text, 415, { 'Content-Encoding': 'gzip' }],
    ]
    for (const [what, raw, status, headers] of cases) {
      const answer = await ask(raw, headers)
      expect([what, answer.status]).toEqual([what, status])
      expect(answer.body.err_msg).not.toBe('')
    }
    const none = await vertex.call(method(path), path, { key: keyFor(path) })
    expect(none.status).toBe(400)
    const query = await vertex.call(method(path), `${path}?verbose=1`, {
      key: keyFor(path),
      body: good,
    })
    expect([query.status, query.body.err_type]).toEqual([400, 'bad_request_params'])
    expect(await state()).toEqual(before)
  })

  it('wants its own kind of key, and reads no body without it', async () => {
    const without = await vertex.call(method(path), path, { raw: 'not even JSON' })
    expect([without.status, without.body.err_type]).toEqual([401, 'access_denied'])
    if (!admin(path)) return
    const byUser = await vertex.call(method(path), path, { key, body: good })
    expect([byUser.status, byUser.body.err_type]).toEqual([400, 'you_have_to_be_admin'])
  })
})

const badIds = [
  'x',
  '%00',
  `${uuid}%00`,
  `${uuid}%0a`,
  '%D0%BA%D0%BB%D1%8E%D1%87',
  '%F0%9D%9F%98',
  '..%2f..%2fetc%2fpasswd',
  "'%20or%201=1--",
  uuid.replaceAll('-', ''),
  `{${uuid}}`,
  'a'.repeat(2000),
]
const byId = [
  ['GET', '/ecdsa/keys/'],
  ['GET', '/ecdsa/export-id/'],
  ['GET', '/ecdsa/backup/export-key-share/'],
  ['DELETE', '/ecdsa/delete-key-share/'],
] as const

describe.each(byId)('%s %s:key_id', (verb, path) => {
  it.each(badIds)('refuses %s', async (id) => {
    const answer = await vertex.call(verb, path + id, { key })
    expect([answer.status, answer.body.err_type]).toEqual([400, 'bad_request_params'])
  })

  it('refuses bytes that decode to nothing, further segments, queries and bodies', async () => {
    expect((await vertex.call(verb, `${path}%ff`, { key })).status).toBe(400)
    expect((await vertex.call(verb, `${path}${uuid}/x`, { key })).status).toBe(404)
    expect((await vertex.call(verb, `${path}${uuid}/`, { key })).status).toBe(404)
    expect((await vertex.call(verb, `${path}${uuid}?a=1`, { key })).body.err_type).toBe(
      'bad_request_params',
    )
    expect((await vertex.call(verb, path + uuid, { key })).body.err_type).toBe('key_id_not_exists')
  })

  it('refuses a bad nonce or identity and signs with good ones', async () => {
    const good = 'ab'.repeat(32)
    for (const name of ['X-Vertex-Nonce', 'X-Vertex-Identity'])
      for (const value of ['', 'zz', good.slice(2), `${good}00`, `0x${good}`]) {
        const { status, body } = await vertex.call(verb, path + uuid, {
          key,
          headers: { [name]: value },
        })
        expect([value, status, body.err_type]).toEqual([value, 400, 'bad_request_params'])
        expect(body.err_msg).toContain(name)
      }
    const created = await vertex.call('GET', '/ecdsa/create', { key })
    const pinned = created.body.vault_identity.fingerprint as string
    const { body } = await vertex.call(verb, path + uuid, {
      key,
      headers: { 'X-Vertex-Nonce': good, 'X-Vertex-Identity': pinned },
    })
    expect(body).toMatchObject({
      err_type: 'key_id_not_exists',
      nonce: good,
      key_id: uuid,
      vault_name: 'vertex',
      generation: created.body.vault_identity.generation,
      identity: created.body.vault_identity.public_key,
    })
    expect(body.signature).toMatch(/^[0-9a-f]{128}$/)
    await vertex.call('DELETE', `/ecdsa/delete-key-share/${created.body.key_id as string}`, { key })
  })
})

describe('single members', () => {
  const sign = goodBodies['/ecdsa/sign'] ?? {}
  it.each<[string, string, Record<string, unknown>]>([
    ['room_size', '/create-room', { room_size: 0 }],
    ['room_size', '/create-room', { room_size: 2.5 }],
    ['room_size', '/create-room', { room_size: '2' }],
    ['room_size', '/create-room', { room_size: 1e300 }],
    ['room_size', '/create-room', { room_size: 9007199254740993 }],
    ['count', '/create-room', { room_size: 2, count: 0 }],
    ['count', '/create-room', { room_size: 2, count: 65 }],
    ['count', '/create-room', { room_size: 2, count: '4' }],
    ['msg', '/ecdsa/sign', { ...sign, msg: 'abc' }],
    ['msg', '/ecdsa/sign', { ...sign, msg: '0xab' }],
    ['msg', '/ecdsa/sign', { ...sign, msg: 'ａｂ' }],
    ['hash_algo', '/ecdsa/sign', { ...sign, hash_algo: 'md5' }],
    ['hash_algo', '/ecdsa/sign', { ...sign, hash_algo: 'ſha256' }],
    ['derivation_path', '/ecdsa/sign', { ...sign, derivation_path: [2 ** 31] }],
    ['derivation_path', '/ecdsa/sign', { ...sign, derivation_path: [-1] }],
    ['derivation_path', '/ecdsa/sign', { ...sign, derivation_path: ['0'] }],
    ['derivation_path', '/ecdsa/sign', { ...sign, derivation_path: Array(256).fill(0) }],
    ['extra_data', '/ecdsa/sign', { ...sign, extra_data: 'xyz' }],
    ['relay_address', '/ecdsa/sign', { ...sign, relay_address: 'elsewhere.example:443' }],
    ['relay_address', '/ecdsa/sign', { ...sign, relay_address: 'http://elsewhere.example' }],
    ['relay_address', '/ecdsa/sign', { ...sign, relay_address: 'user@host:443' }],
    ['room_uuid', '/ecdsa/sign', { ...sign, room_uuid: 'x' }],
    ['sign_requests[0].msg', '/ecdsa/batch-sign', { sign_requests: [{ ...sign, msg: 'x' }] }],
    ['sign_requests', '/ecdsa/batch-sign', { sign_requests: [] }],
    ['key_share', '/ecdsa/backup/import-key-share', { export_type: 'encrypted', key_share: 7 }],
    [
      'export_type',
      '/ecdsa/backup/import-key-share',
      { export_type: 'ENCRYPTED', key_share: 'AAAA' },
    ],
    ['kind', '/admin/delete-tombstone', { kind: 'api_key', user_id: uuid }],
    ['name', '/admin/create-user', { name: 'a\u0000b' }],
    ['name', '/admin/create-user', { name: ' a' }],
    ['name', '/admin/create-user', { name: '\u202eevil' }],
    ['name', '/admin/create-user', { name: '\ud800' }],
    ['name', '/admin/create-user', { name: 'x'.repeat(129) }],
  ])('names %s', async (member, path, body) => {
    const answer = await vertex.call(method(path), path, { key: keyFor(path), body })
    expect([answer.status, answer.body.err_type]).toEqual([400, 'bad_request_params'])
    expect(answer.body.err_msg).toContain(member)
  })

  it.each([
    'name=a&name=b',
    'name=',
    'name=%ff',
    'name=%00',
    'name[]=a',
    'name[$ne]=a',
    'name=a&__proto__=b',
    'label=a&extra=1',
    '',
  ])('refuses the query %s', async (query) => {
    const answer = await vertex.admin('GET', `/admin/create-user?${query}`)
    expect([answer.status, answer.body.err_type]).toEqual([400, 'bad_request_params'])
  })

  it('says documented things about quorums, rooms and batches that cannot be', async () => {
    const created = await vertex.call('GET', '/ecdsa/create', { key })
    const { key_id } = created.body as { key_id: string }
    const keygen = { ...goodBodies['/ecdsa/keygen'], key_id }
    const ask = async (path: string, body: unknown) => {
      const answer = await vertex.call('POST', path, { key, body })
      return [answer.status, answer.body.err_type] as const
    }
    expect(await ask('/ecdsa/keygen', { ...keygen, threshold: 3 })).toEqual([
      400,
      'bad_n_and_t_params',
    ])
    expect(await ask('/ecdsa/keygen', { ...keygen, threshold: 1 })).toEqual([
      400,
      'bad_n_and_t_params',
    ])
    expect(await ask('/ecdsa/keygen', keygen)).toEqual([400, 'room_not_found'])
    const sign = { ...goodBodies['/ecdsa/sign'], key_id }
    expect(await ask('/ecdsa/sign', sign)).toEqual([400, 'key_operation_before_keygen'])
    expect(await ask('/create-room', { room_size: 33 })).toEqual([400, 'room_creation_problem'])
    const many = { sign_requests: Array(33).fill(sign) }
    expect(await ask('/ecdsa/batch-sign', many)).toEqual([400, 'batch_too_large'])
    await vertex.call('DELETE', `/ecdsa/delete-key-share/${key_id}`, { key })
  })
})

describe.each(['import', 'verify'])('%s-key-share', (verb) => {
  const path = `/ecdsa/backup/${verb}-key-share`
  const ask = async (body: { export_type: string; key_share: string }) => {
    const answer = await vertex.call('POST', path, { key, body })
    return [answer.status, answer.body as unknown]
  }

  it('says one thing of everything that is no backup', async () => {
    const texts = [
      '',
      ' ',
      'AAAA',
      'AAAA\n',
      'A',
      '====',
      '_-_-',
      '☃',
      '\u0000',
      '\ud800',
      'not base64',
    ]
    const one = await ask({ export_type: 'encrypted', key_share: 'AAAA' })
    expect(one).toEqual([400, expect.objectContaining({ err_type: 'backup_invalid' })])
    for (const key_share of [...texts, 'A'.repeat(60_000), '☃'.repeat(20_000)])
      expect(await ask({ export_type: 'encrypted', key_share })).toEqual(one)
  })

  it('refuses what says it is of the other mode', async () => {
    const answer = await ask({ export_type: 'plaintext', key_share: 'AAAA' })
    expect(answer).toEqual([400, expect.objectContaining({ err_type: 'export_mode_refused' })])
  })
})

describe('the rest of HTTP', () => {
  const hello = 'GET /livez HTTP/1.1\r\nHost: x\r\n'
  it('answers unknown paths and methods alike, with 404', async () => {
    for (const [verb, path] of [
      ['GET', '/'],
      ['GET', '/nothing'],
      ['POST', '/ecdsa/create'],
      ['GET', '/ecdsa/sign'],
      ['PUT', '/create-room'],
      ['PATCH', '/admin/create-user'],
      ['GET', '/LIVEZ'],
      ['GET', '/docs/'],
      ['GET', '/docs/../package.json'],
      ['GET', '/docs/%2e%2e%2fpackage.json'],
      ['GET', '/relay'],
    ] as const) {
      const answer = await vertex.call(verb, path, { key })
      expect([verb, path, answer.status, answer.body.err_type]).toEqual([
        verb,
        path,
        404,
        'not_found',
      ])
    }
  })

  it('does nothing for HEAD but on the open routes, and tells OPTIONS what there is', async () => {
    const before = await state()
    expect((await vertex.call('HEAD', '/ecdsa/create', { key })).status).toBe(404)
    expect(
      (await vertex.call('HEAD', '/admin/create-user?name=h', { key: adminToken })).status,
    ).toBe(404)
    expect(await state()).toEqual(before)
    expect((await vertex.call('HEAD', '/livez')).status).toBe(200)
    const options = await vertex.call('OPTIONS', '/admin/create-user')
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, POST, OPTIONS'])
  })

  it('takes a key as it is and says so to those who write Bearer', async () => {
    const { status, body } = await vertex.call('GET', '/ecdsa/keys', { key: `Bearer ${key}` })
    expect([status, body.err_type]).toEqual([401, 'access_denied'])
    expect(body.err_msg).toContain('without Bearer')
  })

  it('refuses a body where none belongs', async () => {
    const answer = await vertex.call('DELETE', `/ecdsa/delete-key-share/${uuid}`, { key, body: {} })
    expect([answer.status, answer.body.err_type]).toEqual([400, 'bad_request_params'])
  })

  it('does not wait for a huge body', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const request = rawRequest(
        {
          port: vertex.port,
          method: 'POST',
          path: '/create-room',
          headers: {
            Authorization: key,
            'Content-Type': 'application/json',
            'Content-Length': 5e9,
          },
        },
        (response) => {
          resolve(response.statusCode ?? 0)
          request.destroy()
        },
      )
      request.on('error', reject)
      request.write('{')
    })
    expect(status).toBe(413)
  })

  it.each([
    ['no host', 'GET /livez HTTP/1.1\r\n\r\n'],
    ['another version', 'GET /livez HTTP/9.9\r\nHost: x\r\n\r\n'],
    ['nonsense', 'NONSENSE\r\n\r\n'],
    ['two lengths', `${hello}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['a long header', `${hello}X: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['an expectation', `${hello}Expect: foo\r\n\r\n`],
    ['an expectation with a body', `${hello}Expect: foo\r\nContent-Length: 2\r\n\r\n{}`],
    ['a path with NUL', 'GET /\u0000 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['TLS', '\u0016\u0003\u0001'],
  ])('refuses %s with a 400 like any other and closes', async (_, bytes) => {
    const answer = await spoken(vertex.port, bytes)
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    for (const name of ['Connection: close', 'Cache-Control: no-store', 'X-Request-Id: '])
      expect(head).toContain(name)
    expect(JSON.parse(body)).toEqual({
      err_msg: expect.stringMatching(/\w/) as string,
      err_type: 'bad_request_params',
    })
    expect((await vertex.call('GET', '/livez')).status).toBe(200)
  })

  it('refuses what follows a good request without spoiling its answer', async () => {
    const answer = await spoken(vertex.port, `${hello}\r\n`, 'NONSENSE\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\{"status":"ok"\}HTTP\/1\.1 400 /)
  })
})

/** Everything a server says to these pieces, each sent when the one before was answered, until it closes. */
function spoken(port: number, first: string, ...then: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
      const next = then.shift()
      if (next !== undefined) socket.write(next)
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => resolve(text))
    socket.write(first)
  })
}
