import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signer, startRegistry, type Registry } from './registry.js'

const alice = signer(1)
const good = alice.bundle(Uint8Array.of(1))
const folder = mkdtempSync(join(tmpdir(), 'vertex-registry-'))
let registry: Registry
beforeAll(async () => {
  registry = await startRegistry({ kind: 'sqlite', dataDir: folder })
})
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true })
})

const json = (text: string) => ({ type: 'application/json', text: JSON.stringify({ error: text }) })
const plain = (text: string) => ({ type: 'text/plain; charset=utf-8', text })
const broken = plain('Failed to parse the request body as JSON')
const not = (why: string) =>
  plain(`Failed to deserialize the JSON body into the target type: ${why}`)

describe('a registry refuses', () => {
  it.each<[string, object, string]>([
    ['an id that is no hex', { device_id: 'z' }, 'device_id: must be hex of a 32-byte key'],
    ['a payload that is no base64', { payload: 'a' }, 'payload: not valid base64'],
    [
      'a signature that is too short',
      { signature: 'YQ==' },
      'signature: must be base64 of 64 bytes',
    ],
    [
      'an id that is no key',
      { device_id: `02${'00'.repeat(31)}` },
      'device_id: not a valid ed25519 key',
    ],
    ['a signature of other bytes', { payload: 'Ag==' }, 'signature: verification failed'],
    [
      'a key of small order',
      { device_id: `01${'00'.repeat(31)}`, signature: `AQ${'A'.repeat(84)}==` },
      'signature: verification failed',
    ],
  ])('%s, in its own words', async (_, change, message) => {
    const got = await registry.post('/v0/keypackage', { ...good, ...change })
    expect(got).toEqual({ status: 400, ...json(message) })
  })

  const { device_id: id, payload, signature } = good
  const members = `"device_id":"${id}","payload":"${payload}"`
  it.each<[string, string | Uint8Array, number, { type: string; text: string }]>([
    ['no body', '', 400, broken],
    ['half a body', '{"device_id":', 400, broken],
    ['something after it', '{} {}', 400, broken],
    ['a comma too many', `{${members},}`, 400, broken],
    ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), 400, broken],
    ['a byte order mark', `\ufeff{${members}}`, 400, broken],
    ['nothing in it', '{}', 422, not('missing field `device_id` at line 1 column 2')],
    ['no payload', '{"device_id":"x"}', 422, not('missing field `payload` at line 1 column 17')],
    ['no signature', `{${members}\n}\n`, 422, not('missing field `signature` at line 2 column 1')],
    [
      'a number for a text',
      '{"device_id":1}',
      422,
      not('device_id: invalid type, expected a string'),
    ],
    ['null for a text', '{"payload":null}', 422, not('payload: invalid type, expected a string')],
    ['more parts than any of ours', `{"x":[${'1,'.repeat(1000)}1]}`, 400, broken],
    ['a text without an end', '{"device_id":"', 400, broken],
    ['a name that is no text', '{"\\x":1}', 400, broken],
    ['a list', '[]', 422, not('invalid type, expected a JSON object')],
    ['a text', '"{}"', 422, not('invalid type, expected a JSON object')],
    ['null', 'null', 422, not('invalid type, expected a JSON object')],
    [
      'a member twice',
      `{${members},"signature":"${signature}","payload":"AA=="}`,
      422,
      not('duplicate field `payload`'),
    ],
    [
      'a member twice, once in disguise',
      `{${members},"signature":"${signature}","p\\u0061yload":"${payload}"}`,
      422,
      not('duplicate field `payload`'),
    ],
  ])('a body with %s, as its framework did', async (_, body, status, answer) => {
    expect(await registry.post('/v0/keypackage', body)).toEqual({ status, ...answer })
  })

  it.each(['', 'text/plain', 'application/jsonx', 'application/x-www-form-urlencoded', 'json'])(
    'a body of the type "%s"',
    async (type) => {
      expect(await registry.post('/v0/keypackage', JSON.stringify(good), type)).toEqual({
        status: 415,
        ...plain('Expected request with `Content-Type: application/json`'),
      })
    },
  )

  it('a body of more than 2 MiB, and none of as much', async () => {
    const padded = (length: number) => {
      const text = JSON.stringify(good)
      return text + ' '.repeat(length - text.length)
    }
    const most = 2 * 1024 * 1024
    expect((await registry.post('/v0/keypackage', padded(most))).status).toBe(204)
    expect(await registry.post('/v0/keypackage', padded(most + 1))).toEqual({
      status: 413,
      ...plain('Failed to buffer the request body: length limit exceeded'),
    })
  })

  it('a body that grows beyond it without having said so', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }
      const sent = request(`${registry.url}/v0/keypackage`, { method: 'POST', headers }, (got) => {
        got.resume()
        resolve(got.statusCode)
      })
      sent.on('error', reject)
      for (let i = 0; i < 33; i++) sent.write(Buffer.alloc(65_536, ' '))
      sent.end()
    })
    expect(status).toBe(413)
  })

  it('other paths and methods, in its own form', async () => {
    const got = await registry.get('/v0/keypackage')
    expect([got.status, got.type]).toEqual([405, 'application/json'])
    expect(JSON.parse(got.text)).toHaveProperty('error')
    expect((await registry.get('/v0/keypackage/')).status).toBe(404)
    expect((await registry.get('/v0/keypackage/a/b')).status).toBe(404)
    expect((await registry.get('/v0/keypackage/%ff')).status).toBe(400)
  })
})

describe('a registry takes', () => {
  it.each(['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/vnd.mls+json'])(
    'a body of the type "%s"',
    async (type) => {
      expect((await registry.post('/v0/keypackage', JSON.stringify(good), type)).status).toBe(204)
    },
  )

  it('members that it does not know, even twice, and white space', async () => {
    const more = JSON.stringify({ ...good, timestamp_ms: 1 }).replace(
      '{',
      '{ "x": {"payload": [1]}, "x": "\\\\\\"", ',
    )
    expect((await registry.post('/v0/keypackage', more)).status).toBe(204)
  })
})

it('a registry logs nothing of what is posted and who is asked for', async () => {
  const posted = alice.bundle(new TextEncoder().encode('personal'))
  await registry.post('/v0/keypackage', posted)
  await registry.get(`/v0/keypackage/${alice.id}`)
  await registry.post('/v0/keypackage', { ...posted, payload: 'personal' })
  const log = registry.log.join('')
  expect(log).toContain('"route":"/v0/keypackage/:device_id"')
  for (const word of [alice.id, posted.payload, posted.signature, 'personal'])
    expect(log).not.toContain(word)
})
