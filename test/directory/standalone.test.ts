import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeAccount } from '@vertex/directory/keypackage'
import { parseLogProof } from '@vertex/directory/log'
import type { CheckedEvent } from '@vertex/directory/sigchain'
import { createRecipientKey, MemoryShareStore, openSealedBackup, Vertex } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { next, primary } from '../../directory/test/sigchain/make.js'
import { createLogger, serveSystem, type SystemName } from '../../src/compose/index.js'
import { startVertex } from '../http/vertex.js'
import type { Database } from '../../src/store/index.js'
import { engines } from '../store/engines.js'
import { signer } from './keypackage/registry.js'
import { somebody } from './support.js'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

describe.each(engines)('on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('a database of systems by themselves', () => {
    const me = somebody()
    const { text } = primary(me)
    const path = `/v1/sigchains/${text.replace(':', '/')}`
    const device = signer(1)
    const account = signer(2)
    const recipient = createRecipientKey()
    const paths = [`/v0/keypackage/${device.id}`, `/v0/account/${account.id}`] as const
    let database: Database
    let folder: string
    let settings: Record<string, string>
    beforeAll(async () => {
      database = await engine.create()
      folder = mkdtempSync(join(tmpdir(), 'vertex-standalone-'))
      const secret = (name: string) => {
        writeFileSync(join(folder, name), randomBytes(32).toString('base64'), { mode: 0o600 })
        return join(folder, name)
      }
      settings = {
        VERTEX_BACKUP_SECRET_FILE: secret('backup-secret'),
        VERTEX_STORAGE_KEY_FILE: secret('storage-key'),
        ...(database.kind === 'sqlite'
          ? { VERTEX_DATA_DIR: database.dataDir }
          : { DATABASE_URL: database.url }),
      }
    })
    afterAll(async () => {
      rmSync(folder, { recursive: true })
      await engine.cleanUp()
    })

    /** Does something at a system that has the database for itself, as `vertex directory` gives it. */
    async function alone<T>(name: SystemName, work: (url: string) => Promise<T>): Promise<T> {
      const at = { host: '127.0.0.1', port: 0, database }
      const server = await serveSystem(name, at, createLogger('silent'))
      try {
        return await work(server.url)
      } finally {
        await server.stop()
      }
    }
    const post = (url: string, body: string | Uint8Array) =>
      fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: body as Uint8Array<ArrayBuffer>,
      })
    const chain: CheckedEvent[] = []
    const say = async (url: string, subject: string) => {
      const { bytes, event } = next(me, chain.at(-1), subject)
      expect((await post(`${url}${path}/events`, bytes)).status).toBe(201)
      chain.push(event)
    }
    const read = async (url: string) => (await fetch(url)).text()

    it('is the directory of a vault that begins there, and the other way round', async () => {
      const written = await alone('sigchain', async (url) => {
        await say(url, 'dns:somebody.example')
        await say(url, recipient.subject)
        return read(url + path)
      })
      const packages = await alone('keypackage', async (url) => {
        const bundle = JSON.stringify(device.bundle(Uint8Array.of(1, 2, 3)))
        expect((await post(`${url}/v0/keypackage`, bundle)).status).toBe(204)
        const devices = encodeAccount({ lamport: 1n, devices: [device.seed] })
        const said = JSON.stringify(account.account(devices))
        expect((await post(`${url}/v0/account`, said)).status).toBe(204)
        return Promise.all(paths.map((each) => read(url + each)))
      })

      const vertex = await startVertex(settings)
      const { key: apiKey } = await vertex.user()
      const store = new MemoryShareStore()
      const client = new Vertex({ url: vertex.url, apiKey, store, allowHttpOnLoopback: true })
      expect(await read(vertex.url + path)).toBe(written)
      expect(await Promise.all(paths.map((each) => read(vertex.url + each)))).toEqual(packages)
      // The vault relies on what was written before it was there,
      const key = await client.ecdsa.createKey()
      const sealed = await client.directory.sealBackupTo(text, key)
      const backup = await openSealedBackup(sealed, recipient.secret)
      expect(await key.verifyBackup({ backup })).toMatchObject({
        publicKey: Buffer.from(key.publicKey).toString('hex'),
      })
      // and its log has all of it.
      const proofs = [
        ...chain.map(({ seq }) => `/log/proof/sigchain-event/${text}/${seq}`),
        `/log/proof/account-bundle/${account.id}/1`,
      ]
      for (const proof of proofs)
        await vi.waitFor(
          async () => expect(parseLogProof(await read(vertex.url + proof))).toBeDefined(),
          { timeout: 30_000, interval: 200 },
        )
      await say(vertex.url, 'dns:another.example')
      await client.close()
      await vertex.stop()

      const after = await alone('sigchain', async (url) => {
        await say(url, 'dns:third.example')
        return read(url + path)
      })
      expect(await alone('keypackage', (url) => read(url + paths[0]))).toBe(packages[0])
      const again = await startVertex(settings)
      expect(await read(again.url + path)).toBe(after)
      await again.stop()
      expect(after.split('\n')).toHaveLength(5)
    })
  })
})
