import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeUid, newUidSecrets } from '@vertex/directory/keyserver'
import { afterAll, expect, it, vi } from 'vitest'
import { sql } from '../../store/engines.js'
import { vertexCommand } from '../../support/command.js'
import { freePort, startServer } from '../../support/server.js'
import { DOMAIN, type Json } from './server.js'

vi.setConfig({ testTimeout: 240_000 })

const folder = mkdtempSync(join(tmpdir(), 'vertex-keyserver-log-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('a name on a server is in its log, survives a restart, and an entry that was rewritten is found', async () => {
  const settings = { VERTEX_KEYSERVER_DOMAINS: DOMAIN }
  const port = await freePort()
  let server = await startServer({ folder, port, settings })
  try {
    const call = async (method: string, params: object = {}): Promise<Json> => {
      const response = await fetch(`${server.url}/`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }),
      })
      return (await response.json()).result
    }
    const { HCEntry: lastEntry } = await call('KeyHashchain.FetchLastHashChain')
    const now = Math.floor(Date.now() / 1000)
    const identity = `alice@${DOMAIN}`
    const UIDMessage = makeUid(newUidSecrets(), { identity, lastEntry, now })
    expect(await call('KeyRepository.CreateUID', { UIDMessage })).toBeDefined()
    const proof = (path: string) => fetch(`${server.url}/log/proof/keyserver-entry/${path}`)
    await vi.waitFor(async () => expect((await proof('1')).status).toBe(200), {
      timeout: 30_000,
      interval: 200,
    })
    expect((await proof('0')).status).toBe(200)
    expect((await proof('2')).status).toBe(404)
    const verify = () => {
      const { status, stdout } = vertexCommand(['log', 'verify', '--json'], { folder, settings })
      return { status, ...(JSON.parse(stdout) as object) }
    }
    expect(verify()).toMatchObject({ status: 0, kinds: { 'keyserver-entry': 2 } })
    // What was acknowledged is there after a kill, under the same key, and nothing is said twice.
    const before = await call('KeyRepository.Capabilities')
    await server.kill()
    server = await startServer({ folder, port, settings })
    const after = await call('KeyRepository.Capabilities')
    expect(after.CAPABILITIES).toEqual(before.CAPABILITIES)
    expect(await call('KeyHashchain.LookupUID', { Identity: identity })).toEqual({
      HCPositions: [1],
    })
    await sql(
      { kind: 'sqlite', dataDir: join(folder, 'data') },
      `UPDATE keyserver_entries SET entry = (SELECT entry FROM keyserver_entries WHERE position = 0)
       WHERE position = 1`,
    )
    expect(verify()).toMatchObject({
      status: 1,
      problem: 'row_changed',
      what: expect.stringContaining('keyserver-entry 1') as string,
    })
  } finally {
    await server.stop()
  }
})
