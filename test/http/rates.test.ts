import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startVertex, type TestVertex } from './vertex.js'

let vertex: TestVertex
beforeAll(async () => {
  vertex = await startVertex({ VERTEX_RATE_REQUESTS: '60', VERTEX_RATE_CREATES: '1' })
})
afterAll(() => vertex.stop())

const rate = (headers: Headers) =>
  ['limit', 'remaining', 'reset'].map((name) => headers.get(`ratelimit-${name}`))

describe('the requests of a user', () => {
  it('are counted in headers, and one too many is a 429 that says how long to wait', async () => {
    const { key, userId } = await vertex.user()
    const first = await vertex.call('GET', '/ecdsa/keys', { key })
    expect(rate(first.headers)).toEqual(['60', '59', '60'])
    // Refused ones count as well: they were served.
    const missing = await vertex.call('GET', '/ecdsa/keys/none', { key })
    expect([missing.status, rate(missing.headers)[1]]).toEqual([400, '58'])
    for (let i = 2; i < 60; i++) await vertex.call('GET', '/ecdsa/keys', { key })
    const refused = await vertex.call('GET', '/ecdsa/keys', { key })
    expect(refused.status).toBe(429)
    expect(refused.body).toEqual({
      err_msg: expect.stringMatching(
        /^at most 60 requests of one user in a minute; wait \d+ s$/,
      ) as string,
      err_type: 'rate_limited',
    })
    const [limit, remaining, reset] = rate(refused.headers)
    expect([limit, remaining]).toEqual(['60', '0'])
    expect(refused.headers.get('retry-after')).toBe(reset)
    expect(Number(reset)).toBeLessThanOrEqual(60)
    // Whichever of the user's API keys is used.
    const { body } = await vertex.admin('POST', '/admin/generate-api-key', {
      body: { user_id: userId },
    })
    const other = await vertex.call('GET', '/ecdsa/keys', { key: body.api_key as string })
    expect(other.status).toBe(429)
    // Nobody else notices.
    const neighbour = await vertex.user()
    expect((await vertex.call('GET', '/ecdsa/keys', { key: neighbour.key })).status).toBe(200)
    expect((await vertex.admin('GET', '/backup/coverage')).status).toBe(200)
  })

  it('are not counted where nobody was let in', async () => {
    for (const path of ['/ecdsa/keys', '/livez']) {
      const { headers } = await vertex.call('GET', path)
      expect(rate(headers)).toEqual([null, null, null])
    }
  })
})

it('another limit answers in the same way', async () => {
  const { key } = await vertex.user()
  expect((await vertex.call('GET', '/ecdsa/create', { key })).status).toBe(200)
  const refused = await vertex.call('GET', '/ecdsa/create', { key })
  expect([refused.status, refused.body.err_type]).toEqual([429, 'rate_limited'])
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(60)
})
