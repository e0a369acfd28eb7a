import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeKey, startPair, type Party, type TestVertex } from './vertex.js'

let pair: [TestVertex, TestVertex]
let party: Party

beforeAll(async () => {
  pair = await startPair()
  party = (await makeKey(pair)).parties[0]
})
afterAll(() => Promise.all(pair.map((vertex) => vertex.stop())))

describe('GET /backup/coverage', () => {
  it('tells a user of their keys and the operator of everyone’s', async () => {
    const { vertex, key, keyId } = party
    const get = (who: string, query = '') =>
      vertex.call('GET', `/backup/coverage${query}`, { key: who })
    const { body: backup } = await vertex.call('GET', `/ecdsa/backup/export-key-share/${keyId}`, {
      key,
    })
    await vertex.call('POST', '/ecdsa/backup/verify-key-share', { key, body: backup })
    const mine = await get(key)
    expect(mine.status).toBe(200)
    expect(mine.body).toMatchObject({
      keys: [{ key_id: keyId, state: 'verified', drilled_at: null, secret: { version: '' } }],
      next: null,
      counts: { none: 0, exported: 0, verified: 1, drilled: 0 },
      secrets: [{ keys: 1, newest: true }],
    })
    expect(mine.body.keys[0].verified_at).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
    const other = await vertex.user()
    expect((await get(other.key)).body).toMatchObject({ keys: [], secrets: [] })
    const all = await vertex.admin('GET', '/backup/coverage')
    expect(all.body.keys).toEqual(mine.body.keys)
    expect((await get(key, `?after=${keyId}&limit=1`)).body.keys).toEqual([])
  })

  it('refuses strangers, and limits that are none', async () => {
    const { vertex, key } = party
    expect((await vertex.call('GET', '/backup/coverage')).status).toBe(401)
    expect((await vertex.call('GET', '/backup/coverage', { key: 'nobody' })).status).toBe(401)
    for (const query of ['limit=0', 'limit=1001', 'limit=ten', 'after=x', 'user_id=1'])
      expect((await vertex.call('GET', `/backup/coverage?${query}`, { key })).status).toBe(400)
  })
})
