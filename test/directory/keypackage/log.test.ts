import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeAccount } from '@vertex/directory/keypackage'
import { afterAll, expect, it, vi } from 'vitest'
import { sql } from '../../store/engines.js'
import { vertexCommand } from '../../support/command.js'
import { freePort, startServer } from '../../support/server.js'
import { signer } from './registry.js'

vi.setConfig({ testTimeout: 240_000 })

const folder = mkdtempSync(join(tmpdir(), 'vertex-account-log-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('an account on a server is in its log, and one that was rewritten there is found', async () => {
  const server = await startServer({ folder, port: await freePort() })
  try {
    const alice = signer(1)
    const bob = signer(2)
    const post = async (by: typeof alice, lamport: bigint) => {
      const body = JSON.stringify(by.account(encodeAccount({ lamport, devices: [by.seed] })))
      const headers = { 'Content-Type': 'application/json' }
      const answer = await fetch(`${server.url}/v0/account`, { method: 'POST', headers, body })
      return answer.status
    }
    expect([await post(alice, 1n), await post(alice, 2n), await post(bob, 1n)]).toEqual([
      204, 204, 204,
    ])
    expect(await post(alice, 2n)).toBe(409)
    const proof = (path: string) => fetch(`${server.url}/log/proof/account-bundle/${path}`)
    await vi.waitFor(async () => expect((await proof(`${bob.id}/1`)).status).toBe(200), {
      timeout: 30_000,
      interval: 200,
    })
    expect((await proof(`${alice.id}/2`)).status).toBe(200)
    // Its row is gone, and so is what leads to it.
    expect((await proof(`${alice.id}/1`)).status).toBe(404)
    const verify = () => {
      const { status, stdout } = vertexCommand(['log', 'verify', '--json'], { folder })
      return { status, ...(JSON.parse(stdout) as object) }
    }
    expect(verify()).toMatchObject({
      status: 0,
      kinds: { 'account-bundle': 3 },
      database: { erased: 1 },
    })
    // An operator who puts another signed list of the same account in its place.
    const other = alice.signed(encodeAccount({ lamport: 2n, devices: [bob.seed] }))
    const [payload, signature] = [other.payload, other.signature].map((text) =>
      Buffer.from(text, 'base64').toString('hex'),
    )
    await sql(
      { kind: 'sqlite', dataDir: join(folder, 'data') },
      `UPDATE account_bundles SET payload = x'${payload!}', signature = x'${signature!}'
       WHERE account_id = '${alice.id}'`,
    )
    const shown = (await (await fetch(`${server.url}/v0/account/${alice.id}`)).json()) as object
    expect(shown).toMatchObject(other)
    expect(verify()).toMatchObject({
      status: 1,
      problem: 'row_changed',
      what: expect.stringContaining(`account-bundle ${alice.id}/2`) as string,
    })
  } finally {
    await server.stop()
  }
})
