import { nativeSuite } from '@vertex/mpc/native'
import { expect, it } from 'vitest'
import { ThreadPool } from '../../src/engine/pool.js'
import { localEngine } from '../../src/vault/index.js'
import { makeKey, openRoom, startVertex } from './vertex.js'

it('answers everything else while all threads compute, and 503 when they are gone', async () => {
  const threads = await ThreadPool.start({
    program: new URL('../support/stuck-worker.mjs', import.meta.url),
    log: () => undefined,
    threads: 2,
  })
  const local = localEngine(nativeSuite())
  const vertex = await startVertex({}, { ...local, sign: (work) => threads.sign(work) })
  const other = await startVertex({ VERTEX_RELAY_ALLOW: `127.0.0.1:${vertex.port}` })
  try {
    const { parties } = await makeKey([vertex, other])
    const { key, keyId } = parties[0]
    const sign = async () => {
      const room_uuid = await openRoom(parties[0])
      const body = { key_id: keyId, room_uuid, msg: '00', hash_algo: 'sha256' }
      return vertex.call('POST', '/ecdsa/sign', { key, body })
    }
    let answered = 0
    const signing = Array.from({ length: 4 }, () => sign().finally(() => answered++))
    for (let i = 0; i < 50; i++) {
      expect((await vertex.call('GET', '/livez')).status).toBe(200)
      expect((await vertex.call('GET', '/readyz')).status).toBe(200)
      expect((await vertex.call('GET', `/ecdsa/keys/${keyId}`, { key })).status).toBe(200)
    }
    expect(answered).toBe(0)
    await threads.close()
    for (const { status, body, headers } of await Promise.all(signing)) {
      expect([status, body.err_type]).toEqual([503, 'too_busy'])
      expect(headers.get('retry-after')).toBe('1')
    }
  } finally {
    await threads.close()
    await vertex.stop()
    await other.stop()
  }
})
