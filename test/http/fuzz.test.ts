import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { goodBodies, wildBody } from './wild.js'
import { operations } from './contract-checker.js'
import { adminToken, startVertex, type TestVertex } from './vertex.js'

// Every answer is held against openapi.yaml where it is received (vertex.ts); here it only must not be a 5xx.

let vertex: TestVertex
let key: string
beforeAll(async () => {
  vertex = await startVertex({ VERTEX_RUN_DEADLINE: '1' })
  key = (await vertex.user()).key
})
afterAll(() => vertex.stop())

const segment = fc.oneof(
  fc.constantFrom(
    'x',
    '%00',
    '%ff',
    '%2e%2e',
    '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02',
    '{}',
    '%F0%9F%92%A9',
    '*',
    ':key_id',
  ),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map(encode),
)
const query = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc
      .array(
        fc.tuple(fc.constantFrom('name', 'label', 'user_id', '__proto__', 'a[b]', ''), segment),
        { maxLength: 3 },
      )
      .map((pairs) => `?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`),
  },
)
const headers = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Record<string, string>>(
      { 'X-Vertex-Nonce': 'zz' },
      { 'X-Vertex-Nonce': 'ab'.repeat(32), 'X-Vertex-Identity': 'cd'.repeat(32) },
      { 'Content-Type': 'application/xml' },
      { 'Content-Encoding': 'br' },
      { Origin: 'https://evil.example' },
      { 'X-Forwarded-For': '1.2.3.4' },
      { Accept: 'text/plain' },
      { Range: 'bytes=0-1' },
      { 'If-None-Match': '*' },
    ),
  },
)

function encode(text: string): string {
  return text
    .replace(/[\ud800-\udfff]/g, '')
    .split('')
    .map((char) => encodeURIComponent(char.replace(/[\ud800-\udfff]/g, 'x')))
    .join('')
    .replace(/^\.+$/, 'dots')
}

it('never answers 5xx, and always what the contract says', async () => {
  const routes = operations()
  expect(routes.length).toBeGreaterThan(20)
  const request = fc.constantFrom(...routes).chain(({ method, template }) =>
    fc.record({
      method: fc.constant(method.toUpperCase()),
      path: fc
        .array(segment, { minLength: 1, maxLength: 1 })
        .map(([part = '']) => template.replace(/\{\w+\}/, part)),
      query,
      headers,
      body: template in goodBodies ? wildBody(template) : fc.constant(undefined),
      raw: fc.option(fc.string({ unit: 'binary', maxLength: 60 }), { nil: undefined, freq: 15 }),
      role: fc.constantFrom('user', 'user', 'admin', 'admin', 'admin'),
    }),
  )
  await fc.assert(
    fc.asyncProperty(request, async (r) => {
      const isAdmin = r.path.startsWith('/admin') && r.role === 'admin'
      const hasBody = r.method !== 'GET' && r.body !== undefined
      const answer = await vertex.call(r.method, r.path + r.query, {
        key: isAdmin ? adminToken : key,
        headers: r.headers,
        ...(hasBody ? { raw: r.raw ?? JSON.stringify(r.body) } : {}),
      })
      expect(answer.status).toBeLessThan(500)
    }),
    { numRuns: 400, seed: 1121 },
  )
  expect(vertex.log.filter((line) => line.includes('internal problem'))).toEqual([])
  expect(vertex.log.filter((line) => line.includes('"status":200')).length).toBeGreaterThan(50)
})
