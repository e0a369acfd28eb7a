import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it, vi } from 'vitest'
import {
  decodeEntry,
  leafHash,
  openCheckpoint,
  parseLogProof,
  readEntryBundle,
  rootOf,
  signCheckpoint,
  subjectHash,
  verifyConsistency,
  verifyInclusion,
  decodeExtra,
  encodeEntry,
  type Checkpoint,
} from '@vertex/directory/log'
import { eraseLeaf } from '../../../src/directory/log/leaves.js'
import { StorageUnavailable } from '../../../src/vault/ports.js'
import { engines, sql } from '../../store/engines.js'
import { missingPostgres, startFragilePostgres } from '../../support/postgres.js'
import {
  appenderOf,
  appendSome,
  asking,
  blob,
  hex,
  key,
  open,
  recordSome,
  sha256,
  signer,
  unlock,
} from './setup.js'

const bytes = (text: unknown) => new Uint8Array(Buffer.from(String(text), 'base64'))

describe.each(engines)('the appender on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('', () => {
    afterAll(() => engine.cleanUp())

    it('gives places in the order of writing, and every record has its proof', async () => {
      const database = await engine.create()
      const store = await open(database)
      const appender = await appenderOf(store)
      const { ask, checkpoint, tile } = asking(store)
      const kept: Checkpoint[] = []
      // Batches of one, of some, over the end of a tile.
      for (const [from, count] of [
        [0, 0],
        [0, 1],
        [1, 6],
        [7, 248],
        [255, 9],
      ] as const) {
        await appendSome(store, count, from)
        await appender.turn()
        kept.push(await checkpoint())
      }
      expect(appender.events).toEqual([])
      expect(kept.map(({ size }) => size)).toEqual([0, 1, 7, 255, 264])
      const rows = await sql(database, 'SELECT id, idx, source, entry FROM log_leaves ORDER BY id')
      expect(rows.map(({ idx }) => Number(idx))).toEqual(rows.map((_, i) => i))
      const leaves = rows.map(({ entry }) => leafHash(new Uint8Array(entry as Buffer)))
      for (const { size, root } of kept) expect(hex(root)).toBe(hex(rootOf(leaves.slice(0, size))))
      for (const index of [0, 1, 6, 7, 254, 255, 256, 263]) {
        const answer = JSON.parse((await ask('/log/proof/inclusion', {}, `index=${index}`)).text)
        expect(bytes(answer.leaf_hash)).toEqual(leaves[index])
        const last = kept.at(-1)!
        expect(
          verifyInclusion(leaves[index]!, index, last.size, answer.hashes.map(bytes), last.root),
        ).toBe(true)
      }
      for (const older of kept)
        for (const newer of kept.filter(({ size }) => size >= older.size)) {
          const query = `from=${older.size}&to=${newer.size}`
          const answer = JSON.parse((await ask('/log/proof/consistency', {}, query)).text)
          expect(verifyConsistency(older, newer, answer.hashes.map(bytes))).toBe(true)
        }
      const entries = readEntryBundle((await tile('entries/001.p/8')).bytes, 8)!
      expect(entries.map(leafHash)).toEqual(leaves.slice(256))
      expect((await tile('0/000')).bytes).toHaveLength(8192)
      expect((await tile('0/000.p/7')).bytes).toHaveLength(7 * 32)
      expect((await tile('1/000.p/1')).bytes).toEqual(rootOf(leaves.slice(0, 256)))
      await store.close()
    })

    it('of which several run at once gives each entry one place, and signs one history', async () => {
      const database = await engine.create()
      const stores = [await open(database)]
      if (database.kind === 'postgres') stores.push(await open(database))
      const appenders = await Promise.all([...stores, ...stores].map((store) => appenderOf(store)))
      const { checkpoint } = asking(stores[0]!)
      const seen: Checkpoint[] = []
      await Promise.all([
        ...stores.map((store, i) => appendSome(store, 60, i * 1000)),
        ...appenders.map(async (appender) => {
          for (let i = 0; i < 15; i++) await appender.turn()
        }),
        (async () => {
          await appenders[0]!.turn()
          for (let i = 0; i < 30; i++) seen.push(await checkpoint())
        })(),
      ])
      await appenders[0]!.turn()
      seen.push(await checkpoint())
      expect(appenders.flatMap(({ events }) => events)).toEqual([])
      const rows = await sql(database, 'SELECT idx, source, entry FROM log_leaves ORDER BY idx')
      expect(rows.map(({ idx }) => Number(idx))).toEqual(rows.map((_, i) => i))
      expect(rows).toHaveLength(60 * stores.length)
      const leaves = rows.map(({ entry }) => leafHash(new Uint8Array(entry as Buffer)))
      for (const { size, root } of seen) expect(hex(root)).toBe(hex(rootOf(leaves.slice(0, size))))
      // Of one writer, what came first has the lower place.
      for (const [i] of stores.entries()) {
        const mine = rows
          .map(({ source }) => Number(String(source).slice(5)))
          .filter((n) => Math.floor(n / 1000) === i)
        expect(mine).toEqual([...mine].sort((a, b) => a - b))
      }
      await Promise.all(stores.map((store) => store.close()))
    })

    it('commits to every audit record once, in order, in batches', async () => {
      const database = await engine.create()
      const store = await open(database)
      const appender = await appenderOf(store)
      await recordSome(store, 3)
      await appender.turn()
      await recordSome(store, 700)
      await recordSome(store, 500)
      await appender.turn()
      await recordSome(store, 2)
      await appender.end()
      const rows = await sql(database, 'SELECT source, salt, entry FROM log_leaves ORDER BY idx')
      expect(rows.map(({ source }) => source)).toEqual(['1-3', '4-515', '516-1027', '1028-1205'])
      for (const { source, salt, entry } of rows) {
        const [first, last] = String(source).split('-').map(Number) as [number, number]
        const decoded = decodeEntry(new Uint8Array(entry as Buffer))!
        const lines = Array.from({ length: last - first + 1 }, (_, i) =>
          leafHash(Buffer.from(`record ${first + i}`)),
        )
        expect(hex(decoded.digest)).toBe(hex(rootOf(lines)))
        expect(hex(decoded.subject)).toBe(
          hex(subjectHash('audit-batch', new Uint8Array(salt as Buffer), String(source))),
        )
      }
      await store.close()
    })

    it('proves a record by itself, and what was erased stays proven', async () => {
      const database = await engine.create()
      const store = await open(database)
      const appender = await appenderOf(store)
      const { ask, checkpoint } = asking(store)
      await appendSome(store, 5)
      const early = await ask('/log/proof/:kind/*path', {
        kind: 'sigchain-event',
        path: ['test', '3'],
      })
      expect(early).toMatchObject({ status: 503 })
      await appender.turn()
      const before = await checkpoint()
      const { text } = await ask('/log/proof/:kind/*path', {
        kind: 'sigchain-event',
        path: ['test', '3'],
      })
      const proof = parseLogProof(text)!
      const signed = openCheckpoint(text.split('\n\n').slice(1).join('\n\n'), key)!
      // As somebody who has the event, and asks nobody.
      const { salt, time } = decodeExtra(proof.extra)!
      const kind = 'sigchain-event'
      const subject = subjectHash(kind, salt, `ed25519:${'0'.repeat(64)}`)
      const leaf = leafHash(encodeEntry({ kind, subject, digest: sha256('event 3'), time }))
      expect(verifyInclusion(leaf, proof.index, signed.size, proof.hashes, signed.root)).toBe(true)

      await store.inUnit((unit) => eraseLeaf(unit, kind, 'test/3'))
      await appendSome(store, 2, 5)
      await appender.turn()
      const after = await checkpoint()
      const inclusion = JSON.parse((await ask('/log/proof/inclusion', {}, 'index=3')).text)
      expect(verifyInclusion(leaf, 3, after.size, inclusion.hashes.map(bytes), after.root)).toBe(
        true,
      )
      const consistency = JSON.parse((await ask('/log/proof/consistency', {}, 'from=5')).text)
      expect(verifyConsistency(before, after, consistency.hashes.map(bytes))).toBe(true)
      expect(await ask('/log/proof/:kind/*path', { kind, path: ['test', '3'] })).toMatchObject({
        status: 404,
      })
      // What no database takes as a text.
      expect(await ask('/log/proof/:kind/*path', { kind, path: ['test', '\0'] })).toMatchObject({
        status: 404,
      })
      expect(await sql(database, `SELECT source FROM log_leaves WHERE salt IS NULL`)).toEqual([
        { source: null },
      ])
      await store.close()
    })

    it('that ended between appending and signing signs what is there at the next start', async () => {
      const database = await engine.create()
      const store = await open(database)
      await (await appenderOf(store)).turn()
      await appendSome(store, 3)
      let calls = 0
      // As if the process were gone after its first transaction.
      const dying = await appenderOf(store, {
        store: {
          inUnit: (work) => store.inUnit(work),
          select: (text, values) => store.select(text, values),
          change: (text, values) => store.change(text, values),
          inChain: (work) => store.inChain(work),
          inLog: (work) =>
            ++calls === 1 ? store.inLog(work) : Promise.reject(new StorageUnavailable()),
        },
      })
      await dying.turn()
      expect(calls).toBe(2)
      const { checkpoint } = asking(store)
      expect((await checkpoint()).size).toBe(0)
      expect(await sql(database, 'SELECT id FROM log_leaves WHERE idx IS NOT NULL')).toHaveLength(3)
      await (await appenderOf(store)).turn()
      expect((await checkpoint()).size).toBe(3)
      await store.close()
    })

    it('shows nothing of what it has signed before that is kept', async () => {
      const database = await engine.create()
      const store = await open(database)
      const { checkpoint, tile } = asking(store)
      await appendSome(store, 2)
      expect((await asking(store).ask('/log/checkpoint')).status).toBe(503)
      const appender = await appenderOf(store)
      await appender.turn()
      expect((await checkpoint()).size).toBe(2)
      await appendSome(store, 1, 2)
      expect((await tile('0/000.p/3')).status).toBe(404)
      await appender.turn()
      expect((await tile('0/000.p/3')).status).toBe(200)
      await store.close()
    })

    it('goes on when what failed is over, and says that it has to wait', async () => {
      const database = await engine.create()
      const store = await open(database)
      const appender = await appenderOf(store)
      await appendSome(store, 2)
      await appender.turn()
      await appendSome(store, 3, 2)
      // What nobody expects of a database, and no finding about the log either.
      await sql(database, 'ALTER TABLE log_tiles RENAME COLUMN hashes TO away')
      const asked = vi.spyOn(store, 'select')
      let now = performance.now()
      const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
      try {
        await appender.turn()
        for (const wait of [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
          const before = asked.mock.calls.length
          now += wait - 1
          await appender.turn()
          expect(asked.mock.calls).toHaveLength(before)
          now += 1
          await appender.turn()
          expect(asked.mock.calls).toHaveLength(before + 1)
        }
        const reason = expect.stringContaining('should not have happened') as string
        const said = [16, 30, 30, 30].map((retry_s) => ({ event: 'log_delayed', reason, retry_s }))
        expect(appender.events).toEqual(said)
        await sql(database, 'ALTER TABLE log_tiles RENAME COLUMN away TO hashes')
        now += 30_000
        await appender.turn()
        expect((await asking(store).checkpoint()).size).toBe(5)
        expect(appender.events).toHaveLength(4)
        // The next failure begins with the shortest wait.
        await sql(database, 'ALTER TABLE log_tiles RENAME COLUMN hashes TO away')
        await appendSome(store, 1, 5)
        await appender.turn()
        await sql(database, 'ALTER TABLE log_tiles RENAME COLUMN away TO hashes')
        now += 250
        await appender.turn()
        expect((await asking(store).checkpoint()).size).toBe(6)
      } finally {
        clock.mockRestore()
      }
      await store.close()
    })

    describe('does not go on', () => {
      const refusals: readonly [string, (database: Parameters<typeof sql>[0]) => Promise<void>][] =
        [
          [
            'where a hash in a tile is another',
            async (database) => {
              const other = Buffer.concat(Array.from({ length: 3 }, () => sha256('other')))
              await sql(
                database,
                `UPDATE log_tiles SET hashes = ${blob(database, other)} WHERE level = 0`,
              )
            },
          ],
          [
            'where a tile is gone',
            async (database) => {
              await sql(database, 'DELETE FROM log_tiles')
            },
          ],
          [
            'where the log is shorter than what it signed',
            async (database) => {
              await sql(database, 'UPDATE log_state SET size = 2')
            },
          ],
          [
            'in another generation',
            async (database) => {
              await sql(database, `UPDATE meta SET generation = '${'f'.repeat(32)}'`)
            },
          ],
          [
            'where its checkpoint is not its own',
            async (database) => {
              const root = sha256('x')
              const forged = signCheckpoint({ size: 3, root }, { ...signer, seed: sha256('y') })
              await sql(database, `UPDATE log_state SET checkpoint = '${forged}'`)
            },
          ],
          [
            'where something waits that is no entry',
            async (database) => {
              await unlock(database)
              const value = blob(database, Uint8Array.of(1))
              await sql(database, `UPDATE log_leaves SET entry = ${value} WHERE idx IS NULL`)
            },
          ],
        ]
      it.each(refusals)('%s', async (_, change) => {
        const database = await engine.create()
        const store = await open(database)
        const appender = await appenderOf(store)
        await appendSome(store, 3)
        await appender.turn()
        await appendSome(store, 1, 3)
        await change(database)
        const state = () => sql(database, 'SELECT size, checkpoint FROM log_state')
        const before = await state()
        await appender.turn()
        await appender.turn()
        expect(appender.events).toEqual([
          { event: 'log_refused', reason: expect.any(String) as string },
        ])
        expect((appender.events[0] as { reason: string }).reason).not.toContain('should not have')
        expect(await state()).toEqual(before)
        await store.close()
      })
    })
  })
})

describe('the appender on a Postgres that goes away', () => {
  it.skipIf(missingPostgres() !== undefined)('goes on when it is back', async () => {
    const server = await startFragilePostgres()
    try {
      const store = await open({ kind: 'postgres', url: await server.createDatabase() })
      const appender = await appenderOf(store)
      await appendSome(store, 2)
      appender.begin()
      const { checkpoint } = asking(store)
      await vi.waitFor(async () => expect(await checkpoint()).toMatchObject({ size: 2 }), 20_000)
      await appendSome(store, 3, 2)
      await server.end('SIGQUIT')
      await expect(appendSome(store, 1, 5)).rejects.toThrow(StorageUnavailable)
      // Some looks of its own that fail.
      await sleep(1_500)
      await server.start()
      await vi.waitFor(async () => expect(await checkpoint()).toMatchObject({ size: 5 }), {
        timeout: 60_000,
        interval: 200,
      })
      await appendSome(store, 1, 5)
      await appender.end()
      expect(await checkpoint()).toMatchObject({ size: 6 })
      expect(appender.events.map(({ event }) => event)).not.toContain('log_refused')
      await store.close()
    } finally {
      await server.stop()
    }
  })
})
