import { afterAll, describe, expect, it } from 'vitest'
import { decodeEntry, subjectHash } from '@vertex/directory/log'
import { directoryTables } from '../../../src/compose/directory.js'
import { appendLeaf, eraseLeaf } from '../../../src/directory/log/leaves.js'
import { openEngine } from '../../../src/store/open.js'
import { engines, sql } from '../../store/engines.js'
import { appendSome, hex, open, sha256 } from './setup.js'

describe.each(engines)('the entries of the log on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('', () => {
    afterAll(() => engine.cleanUp())

    it('have the tables of the migration', async () => {
      const opened = await openEngine(await engine.create(), directoryTables)
      try {
        await opened.migrate()
        const { upQueries } = await opened.dataSource.driver.createSchemaBuilder().log()
        expect(upQueries.map(({ query }) => query)).toEqual([])
      } finally {
        await opened.close()
      }
    })

    it('are kept with the row they are about, or not at all', async () => {
      const database = await engine.create()
      const store = await open(database)
      const leaf = {
        kind: 'sigchain-event',
        subject: 'somebody',
        source: 'somebody/0',
        digest: sha256('event'),
        at: 1_700_000_000_000,
      } as const
      const failed = store.inUnit(async (unit) => {
        await appendLeaf(unit, leaf)
        throw new Error('the row could not be written')
      })
      await expect(failed).rejects.toThrow('the row could not be written')
      expect(await sql(database, 'SELECT id FROM log_leaves')).toEqual([])
      await store.inUnit((unit) => appendLeaf(unit, leaf))
      const [row] = await sql(database, 'SELECT idx, kind, source, salt, entry FROM log_leaves')
      expect(row).toMatchObject({ idx: null, kind: 'sigchain-event', source: 'somebody/0' })
      const entry = decodeEntry(row!['entry'] as Buffer)!
      expect(entry).toMatchObject({ kind: 'sigchain-event', time: leaf.at })
      expect(hex(entry.digest)).toBe(hex(leaf.digest))
      expect(hex(entry.subject)).toBe(
        hex(subjectHash(leaf.kind, new Uint8Array(row!['salt'] as Buffer), 'somebody')),
      )
      await store.close()
    })

    it('are one for a row', async () => {
      const database = await engine.create()
      const store = await open(database)
      await appendSome(store, 1)
      await expect(appendSome(store, 1)).rejects.toThrow()
      expect(await sql(database, 'SELECT id FROM log_leaves')).toHaveLength(1)
      await store.close()
    })

    it('cannot be changed or deleted, only given a place once and erased', async () => {
      const database = await engine.create()
      const store = await open(database)
      await appendSome(store, 2)
      const blob = database.kind === 'sqlite' ? `x'00'` : `'\\x00'::bytea`
      for (const change of [
        'DELETE FROM log_leaves',
        `UPDATE log_leaves SET entry = ${blob}`,
        `UPDATE log_leaves SET salt = ${blob}`,
        `UPDATE log_leaves SET source = source || 'x'`,
        `UPDATE log_leaves SET kind = 'account-bundle'`,
        'UPDATE log_leaves SET id = id + 10',
        ...(database.kind === 'sqlite' ? [] : ['TRUNCATE log_leaves']),
      ])
        await expect(sql(database, change), change).rejects.toThrow('append-only')
      await sql(database, 'UPDATE log_leaves SET idx = 0 WHERE id = 1')
      await expect(sql(database, 'UPDATE log_leaves SET idx = 1 WHERE id = 1')).rejects.toThrow(
        'append-only',
      )
      await expect(sql(database, 'UPDATE log_leaves SET idx = NULL WHERE id = 1')).rejects.toThrow(
        'append-only',
      )
      await store.inUnit((unit) => eraseLeaf(unit, 'sigchain-event', 'test/0'))
      expect(await sql(database, 'SELECT source, salt FROM log_leaves WHERE id = 1')).toEqual([
        { source: null, salt: null },
      ])
      await store.close()
    })
  })
})
