import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import {
  Edge,
  encodeEntry,
  leafHash,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
  tileBytes,
  verifierOf,
  cosignedAt,
  COSIGNATURE,
} from '@vertex/directory/log'
import { eraseLeaf } from '../../../src/directory/log/leaves.js'
import { LogUnreachable, verifyPublished, type Get } from '../../../src/directory/log/published.js'
import type { LoggedRows } from '../../../src/directory/log/rows.js'
import { verifyDatabase } from '../../../src/directory/log/verify.js'
import { SplitView, witness } from '../../../src/directory/log/witness.js'
import { openSnapshot, type Database, type OpenStore } from '../../../src/store/index.js'
import { engines, sql } from '../../store/engines.js'
import {
  appenderOf,
  appendSome,
  asking,
  blob,
  key,
  open,
  recordSome,
  sha256,
  signer,
  unlock,
} from './setup.js'

/** Rows in a table of their own, in place of those of the directory. */
const rows: LoggedRows = {
  kind: 'sigchain-event',
  table: 'test_rows',
  source: `('test/' || r.n)`,
  columns: 'r.body AS body',
  subject: () => `ed25519:${'0'.repeat(64)}`,
  digest: (row) => sha256(String(row['body'])),
}
const nothing = () => undefined

describe.each(engines)('checking the log on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('', () => {
    afterAll(() => engine.cleanUp())

    let database: Database
    let store: OpenStore
    /** A log of 300 entries, of which 299 are about rows, 2 of them erased, and one about three audit records. */
    beforeEach(async () => {
      database = await engine.create()
      store = await open(database)
      const appender = await appenderOf(store)
      await sql(database, 'CREATE TABLE test_rows (n integer PRIMARY KEY, body varchar)')
      const values = Array.from({ length: 299 }, (_, i) => `(${i}, 'event ${i}')`).join()
      await sql(database, `INSERT INTO test_rows VALUES ${values}`)
      await appendSome(store, 100)
      await recordSome(store, 3)
      await appender.turn()
      await appendSome(store, 199, 100)
      for (const n of [7, 8]) {
        await store.inUnit((unit) => eraseLeaf(unit, 'sigchain-event', `test/${n}`))
        await sql(database, `DELETE FROM test_rows WHERE n = ${n}`)
      }
      await appender.turn()
      await store.close()
    })

    const check = async (kept: readonly string[] = []) => {
      const snapshot = (await openSnapshot(database))!
      try {
        return await verifyDatabase({
          snapshot,
          key,
          kept: kept.map((text) => openCheckpoint(text, key)!),
          rows: [rows],
          badRecord: (lines) => lines.findIndex((line) => line === 'rewritten') + 1 || undefined,
          progress: nothing,
        })
      } finally {
        await snapshot.close()
      }
    }
    const entryAt = async (idx: number) =>
      new Uint8Array(
        (await sql(database, `SELECT entry FROM log_leaves WHERE idx = ${idx}`))[0]![
          'entry'
        ] as Buffer,
      )
    /** Another entry in the place of one. */
    const rewrite = async (idx: number) => {
      await unlock(database)
      const digest = sha256('rewritten')
      const entry = encodeEntry({ kind: 'sigchain-event', subject: digest, digest, time: 1 })
      await sql(
        database,
        `UPDATE log_leaves SET entry = ${blob(database, entry)} WHERE idx = ${idx}`,
      )
    }

    it('finds nothing where nothing is wrong', async () => {
      expect(await check()).toMatchObject({
        origin: signer.name,
        size: 300,
        kinds: { 'sigchain-event': 299, 'audit-batch': 1 },
        rows: 297,
        erased: 2,
        auditRecords: 3,
        waiting: 0,
      })
    })

    it('names a row that was rewritten', async () => {
      await sql(database, `UPDATE test_rows SET body = 'rewritten' WHERE n = 42`)
      await expect(check()).rejects.toMatchObject({
        problem: 'row_changed',
        index: 42,
        message: expect.stringContaining('test/42') as string,
      })
    })

    it('names a row that is gone without having been erased', async () => {
      await sql(database, `DELETE FROM test_rows WHERE n = 150`)
      await expect(check()).rejects.toMatchObject({
        problem: 'row_missing',
        index: 151,
        message: expect.stringContaining('test/150') as string,
      })
    })

    it('names a row that was put in without the log', async () => {
      await sql(database, `INSERT INTO test_rows VALUES (5000, 'late')`)
      await expect(check()).rejects.toMatchObject({
        problem: 'row_not_logged',
        message: expect.stringContaining('test/5000') as string,
      })
    })

    it('names an entry that was rewritten', async () => {
      await rewrite(42)
      await expect(check()).rejects.toMatchObject({ problem: 'entry_changed', index: 42 })
    })

    it('names an entry that is gone', async () => {
      await unlock(database)
      await sql(database, 'DELETE FROM log_leaves WHERE idx = 42')
      await expect(check()).rejects.toMatchObject({ problem: 'entry_missing', index: 42 })
    })

    it('names an entry that is none', async () => {
      await unlock(database)
      const value = blob(database, Uint8Array.of(1, 2))
      await sql(database, `UPDATE log_leaves SET entry = ${value} WHERE idx = 42`)
      await expect(check()).rejects.toMatchObject({ problem: 'entry_malformed', index: 42 })
    })

    it('finds an entry that was rewritten with its tile', async () => {
      await rewrite(42)
      const [tile] = await sql(database, 'SELECT hashes FROM log_tiles WHERE level = 0 AND n = 0')
      const hashes = new Uint8Array(tile!['hashes'] as Buffer)
      hashes.set(leafHash(await entryAt(42)), 42 * 32)
      await sql(
        database,
        `UPDATE log_tiles SET hashes = ${blob(database, hashes)} WHERE level = 0 AND n = 0`,
      )
      await expect(check()).rejects.toMatchObject({ problem: 'tile_changed' })
    })

    it('finds a log that was rewritten with all its tiles, by what was signed', async () => {
      await rewrite(42)
      const entries = await sql(database, 'SELECT entry FROM log_leaves ORDER BY idx')
      const edge = new Edge(0, [])
      const made = edge.append(
        entries.map(({ entry }) => leafHash(new Uint8Array(entry as Buffer))),
      )
      for (const { level, n, hashes } of made)
        await sql(
          database,
          `UPDATE log_tiles SET hashes = ${blob(database, tileBytes(hashes))} WHERE level = ${level} AND n = ${n}`,
        )
      await expect(check()).rejects.toMatchObject({ problem: 'root_changed' })
      // And one that was signed anew, by a checkpoint that somebody kept.
      const [state] = await sql(database, 'SELECT checkpoint FROM log_state')
      const signed = signCheckpoint({ size: 300, root: edge.root() }, signer)
      await sql(database, `UPDATE log_state SET checkpoint = '${signed}'`)
      await sql(database, 'DELETE FROM test_rows WHERE n = 42')
      await sql(database, `UPDATE log_leaves SET source = NULL, salt = NULL WHERE idx = 42`)
      expect(await check()).toMatchObject({ size: 300, erased: 3 })
      await expect(check([String(state!['checkpoint'])])).rejects.toMatchObject({
        problem: 'not_continued',
      })
    })

    it('finds a checkpoint that the log did not sign', async () => {
      const forged = signCheckpoint(
        { size: 300, root: sha256('x') },
        { ...signer, seed: sha256('y') },
      )
      await sql(database, `UPDATE log_state SET checkpoint = '${forged}'`)
      await expect(check()).rejects.toMatchObject({ problem: 'checkpoint_unsigned' })
    })

    it('finds audit records that were rewritten, and names the one that does not fit', async () => {
      const on = database.kind === 'sqlite' ? '' : ' ON audit_records'
      const names =
        database.kind === 'sqlite' ? ['audit_records_no_update'] : ['audit_records_no_change']
      for (const name of names) await sql(database, `DROP TRIGGER ${name}${on}`)
      await sql(database, `UPDATE audit_records SET line = 'rewritten' WHERE seq = 2`)
      await expect(check()).rejects.toMatchObject({
        problem: 'audit_changed',
        message: expect.stringMatching(/records 1 to 3 .* is 2$/) as string,
      })
    })

    it('finds that records were cut off behind the last batch’s back', async () => {
      await sql(database, 'UPDATE log_state SET audit_seq = 2')
      await expect(check()).rejects.toMatchObject({ problem: 'audit_gap' })
    })
  })
})

const sqlite = engines[0]!

describe('what is published', () => {
  afterAll(() => sqlite.cleanUp())
  const logOf = async (sizes: readonly number[], first = 0) => {
    const store = await open(await sqlite.create())
    const appender = await appenderOf(store)
    let at = first
    const kept: string[] = []
    for (const size of sizes) {
      await appendSome(store, size - at + first, at)
      at = size + first
      await appender.turn()
      kept.push((await asking(store).ask('/log/checkpoint')).text)
    }
    return { store, appender, kept, get: asking(store).get }
  }
  const verify = (get: Get, kept: readonly string[] = []) =>
    verifyPublished(
      get,
      key,
      kept.map((text) => openCheckpoint(text, key)!),
      nothing,
    )
  /** A log that answers another thing at one path. */
  const lying =
    (get: Get, at: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Get =>
    async (path, most) => {
      const bytes = await get(path, most)
      return path === at && bytes !== undefined ? change(bytes) : bytes
    }
  const flipped = (at: number) => (bytes: Uint8Array) => bytes.with(at, bytes[at]! ^ 1)

  it('is checked from the outside, and every lie is found', async () => {
    const { store, get, kept } = await logOf([3, 256, 700])
    expect(await verify(get, kept)).toMatchObject({ size: 700, kinds: { 'sigchain-event': 700 } })
    const of = (at: string, change: (bytes: Uint8Array) => Uint8Array | undefined) =>
      expect(verify(lying(get, at, change))).rejects
    await of('tile/entries/001', flipped(30)).toMatchObject({
      problem: 'entry_changed',
      index: 256,
    })
    await of('tile/entries/002.p/188', (bytes) => bytes.slice(0, -1)).toMatchObject({
      problem: 'entry_missing',
      index: 512,
    })
    await of('tile/0/000', flipped(64)).toMatchObject({ problem: 'entry_changed', index: 2 })
    await of('tile/1/000.p/2', flipped(0)).toMatchObject({ problem: 'tile_changed' })
    await of('tile/1/000.p/2', () => undefined).toMatchObject({ problem: 'tile_changed' })
    await of('checkpoint', flipped(20)).toMatchObject({ problem: 'checkpoint_unsigned' })
    await expect(verify(lying(get, 'checkpoint', () => undefined))).rejects.toThrow(LogUnreachable)
    const other = verifierOf({ ...signer, seed: sha256('other') })
    await expect(verifyPublished(get, other, [], nothing)).rejects.toMatchObject({
      problem: 'checkpoint_unsigned',
    })
    await store.close()
  })

  it('is found to be cut off by who kept a later checkpoint', async () => {
    const { store, get, kept } = await logOf([3, 10])
    const old = lying(get, 'checkpoint', () => Buffer.from(kept[0]!))
    await expect(verify(old, [kept[1]!])).rejects.toMatchObject({ problem: 'not_continued' })
    await store.close()
  })

  describe('to a witness', () => {
    const cosigner = { name: 'witness.test', seed: sha256('witness') }
    const look = (get: Get, kept?: string) => witness(get, key, kept, cosigner, 1_700_000_000)

    it('grows, and is cosigned', async () => {
      const { store, appender, get } = await logOf([5])
      const first = await look(get)
      expect(first).toMatchObject({ what: 'first', size: 5 })
      expect(await look(get, first.keep)).toMatchObject({ what: 'same', size: 5, before: 5 })
      await appendSome(store, 400, 5)
      await appender.turn()
      const second = await look(get, first.keep)
      expect(second).toMatchObject({ what: 'newer', size: 405, before: 5 })
      const cosigned = parseCheckpoint(second.keep)!
      expect(cosignedAt(cosigned, verifierOf(cosigner, COSIGNATURE))).toBe(1_700_000_000)
      // An older view is told, and what was kept stays.
      const old = lying(get, 'checkpoint', () => Buffer.from(first.keep))
      expect(await look(old, second.keep)).toMatchObject({ what: 'older', keep: second.keep })
      await store.close()
    })

    it('cannot make it forget by signature lines that nobody asked for', async () => {
      const { store, get } = await logOf([4])
      const line = `— other.test ${Buffer.alloc(68).toString('base64')}\n`
      const full = lying(get, 'checkpoint', (bytes) =>
        Buffer.from(Buffer.from(bytes).toString('utf8') + line.repeat(63)),
      )
      const first = await look(full)
      expect(await look(get, first.keep)).toMatchObject({ what: 'same', size: 4 })
      await store.close()
    })

    it('shows a split view, of one size or of two, and both sides are kept as evidence', async () => {
      const [one, two] = [await logOf([4, 9]), await logOf([4, 9, 30], 1)]
      for (const [kept, shown] of [
        [one.kept[1]!, two.kept[1]!],
        [one.kept[0]!, two.kept[1]!],
        [one.kept[1]!, two.kept[2]!],
        [one.kept[1]!, two.kept[0]!],
      ] as const) {
        const get = lying(two.get, 'checkpoint', () => Buffer.from(shown))
        const found = await look(get, kept).catch((error: unknown) => error)
        expect(found).toBeInstanceOf(SplitView)
        expect((found as SplitView).evidence).toEqual([kept, shown])
        for (const text of (found as SplitView).evidence)
          expect(openCheckpoint(text, key)).toBeDefined()
      }
      await one.store.close()
      await two.store.close()
    })

    it('that is given no proof is told so, and does not believe it', async () => {
      const { store, get, kept } = await logOf([4, 9])
      const silent = lying(get, 'tile/0/000.p/9', () => undefined)
      await expect(look(silent, kept[0])).rejects.toMatchObject({ problem: 'unproven' })
      const wrong = lying(get, 'tile/0/000.p/9', flipped(8 * 32))
      await expect(look(wrong, kept[0])).rejects.toMatchObject({ problem: 'split_view' })
      await store.close()
    })

    it('is not believed without its signature, nor with a state of another log', async () => {
      const { store, get } = await logOf([4])
      await expect(look(lying(get, 'checkpoint', flipped(20)))).rejects.toMatchObject({
        problem: 'checkpoint_unsigned',
      })
      const other = signCheckpoint({ size: 1, root: sha256('x') }, cosigner)
      await expect(look(get, other)).rejects.toMatchObject({ problem: 'checkpoint_unsigned' })
      await store.close()
    })
  })
})
