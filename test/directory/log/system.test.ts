import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseVerifierKey } from '@vertex/directory/log'
import type { OpenStore } from '../../../src/store/index.js'
import { engines } from '../../store/engines.js'
import { appenderOf, appendSome, asking, key, open, recordSome } from './setup.js'

const sqlite = engines[0]!

describe('the routes of the log', () => {
  let store: OpenStore
  let ask: ReturnType<typeof asking>['ask']
  let tile: ReturnType<typeof asking>['tile']
  beforeAll(async () => {
    store = await open(await sqlite.create())
    ;({ ask, tile } = asking(store))
    await recordSome(store, 2)
    await appendSome(store, 299)
    await (await appenderOf(store)).turn()
  })
  afterAll(async () => {
    await store.close()
    await sqlite.cleanUp()
  })

  it('say how long their answers may be kept, and of which type they are', async () => {
    expect(await ask('/log/checkpoint')).toMatchObject({
      status: 200,
      type: 'text/plain; charset=utf-8',
      headers: { 'Cache-Control': 'public, max-age=2' },
    })
    for (const path of ['0/000', '0/001.p/44', '1/000.p/1', 'entries/000', 'entries/001.p/44'])
      expect(await tile(path), path).toMatchObject({
        status: 200,
        type: 'application/octet-stream',
        headers: { 'Cache-Control': 'public, max-age=31536000, immutable' },
      })
    expect(await ask('/log/proof/inclusion', {}, 'index=0')).toMatchObject({
      type: 'application/json',
      headers: { 'Cache-Control': 'no-store' },
    })
    expect(parseVerifierKey((await ask('/log/key')).text.trim())).toEqual(key)
  })

  it.each(['0/0', 'entries/0', '64/000', '0/000.p/256', '0/000.p/0', 'x/000', '0/../key', ''])(
    'have no tile %j',
    async (path) => {
      expect(await tile(path)).toMatchObject({ status: 400, code: 'bad_request_params' })
    },
  )

  it.each(['0/001', '0/002', '1/000', '2/000.p/1', '0/001.p/45', 'entries/x001/000', '63/000'])(
    'have no tile %s in this tree',
    async (path) => {
      expect(await tile(path)).toMatchObject({ status: 404, headers: { 'Retry-After': '2' } })
    },
  )

  it.each([
    ['/log/proof/inclusion', ''],
    ['/log/proof/inclusion', 'index=300'],
    ['/log/proof/inclusion', 'index=5&size=5'],
    ['/log/proof/inclusion', 'index=0&size=0'],
    ['/log/proof/inclusion', 'index=-1'],
    ['/log/proof/inclusion', 'index=01'],
    ['/log/proof/inclusion', 'index=1e1'],
    ['/log/proof/inclusion', 'index=9007199254740993'],
    ['/log/proof/inclusion', 'index=1&index=2'],
    ['/log/proof/inclusion', 'index=1&more=2'],
    ['/log/proof/consistency', ''],
    ['/log/proof/consistency', 'from=5&to=4'],
    ['/log/proof/consistency', 'from=x'],
    ['/log/checkpoint', 'a=b'],
    ['/log/key', 'a=b'],
  ])('refuse %s?%s', async (path, query) => {
    const answer = await ask(path, {}, query)
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.text)).toMatchObject({
      err_type: 'bad_request_params',
      err_msg: expect.any(String) as string,
    })
  })

  it('answer nothing that no checkpoint has', async () => {
    expect(await ask('/log/proof/inclusion', {}, 'index=0&size=301')).toMatchObject({ status: 404 })
    expect(await ask('/log/proof/consistency', {}, 'from=0&to=301')).toMatchObject({ status: 404 })
  })

  it('have an address for each log, and none for another than this', async () => {
    const here = '1'.repeat(32)
    const path = ['0', '000']
    const found = await ask('/log/:place/checkpoint', { place: here })
    expect(found).toMatchObject({ status: 200, text: (await ask('/log/checkpoint')).text })
    for (const place of ['2'.repeat(32), 'proof', here.slice(1), '']) {
      const refused = { status: 404, text: expect.stringContaining(`/log/${here}`) as string }
      expect(await ask('/log/:place/checkpoint', { place })).toMatchObject(refused)
      const tile = await ask('/log/:place/tile/*path', { place, path })
      expect(tile).toMatchObject(refused)
      expect(tile.headers).toBeUndefined()
    }
  })

  it('give no proof of what is not for everybody, or not there', async () => {
    const proof = (kind: string, ...path: string[]) => ask('/log/proof/:kind/*path', { kind, path })
    expect(await proof('audit-batch', '1-2')).toMatchObject({ status: 404 })
    expect(await proof('sigchain-event', 'test', '299')).toMatchObject({ status: 404 })
    expect(await proof('account-bundle', 'test', '1')).toMatchObject({ status: 404 })
    expect(await proof('sigchain-event', 'test', '298')).toMatchObject({ status: 200 })
  })
})
