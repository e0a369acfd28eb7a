import { afterAll, describe, expect, it } from 'vitest'
import {
  AuditWriter,
  formatLine,
  parseLine,
  seal,
  verifyLog,
  type NewEntry,
} from '../../src/audit/index.js'
import { openAuditBeside, openStore, type Database } from '../../src/store/index.js'
import type { MakeAudit, VaultStore } from '../../src/vault/ports.js'
import { clock, engines, sql, storageKey, testSeal } from './engines.js'

const keys = { chain: new Uint8Array(32).fill(1), values: new Uint8Array(32).fill(2) }
const chainKey = keys.chain

const entry = (more: Partial<NewEntry> = {}): NewEntry => ({
  request: '1'.repeat(32),
  actor: 'user',
  user: '11111111-1111-4111-8111-111111111111',
  apiKey: '2'.repeat(32),
  action: 'sign',
  key: '3'.repeat(64),
  of: 0,
  outcome: 'begun',
  values: [],
  ...more,
})

const open = (database: Database) => openStore({ database, rowSeal: testSeal(storageKey), clock })

/** All records, read in pieces. */
async function* linesOf(store: VaultStore) {
  for (let after = 0; ;) {
    const rows = await store.readAudit(after, 7)
    if (rows.length === 0) return
    for (const { line } of rows) yield line
    after = rows.at(-1)!.seq
  }
}

const generationOf = (store: VaultStore) =>
  store.run(async (uow) => (await uow.meta.get()).generation)

const check = async (store: VaultStore) =>
  verifyLog(linesOf(store), { chainKey, generation: await generationOf(store) })

/** As whoever owns the database can. */
async function withoutTriggers(database: Database): Promise<void> {
  const drops =
    database.kind === 'sqlite'
      ? ['DROP TRIGGER audit_records_no_update', 'DROP TRIGGER audit_records_no_delete']
      : ['DROP TRIGGER audit_records_no_change ON audit_records']
  for (const drop of drops) await sql(database, drop)
}

/** A store that counts transactions, and refuses them while `refusing`. */
function counted(store: VaultStore) {
  const table = {
    appends: 0,
    refusing: false,
    appendAudit: async (make: MakeAudit, own?: number) => {
      table.appends++
      await store.appendAudit((...end) => {
        const rows = make(...end)
        if (table.refusing) throw new Error('refused')
        return rows
      }, own)
    },
  }
  return table
}

describe.each(engines)('the audit log on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('in the database', () => {
    afterAll(() => engine.cleanUp())

    it('is one chain, opened by itself, whatever is written at once', async () => {
      const store = await open(await engine.create())
      const writer = new AuditWriter(store, keys, clock)
      const places = await Promise.all(Array.from({ length: 20 }, () => writer.append(entry())))
      expect(places).toEqual(Array.from({ length: 20 }, (_, i) => i + 2))
      const end = await writer.append(entry({ of: 2, outcome: 'done' }))
      expect(await check(store)).toMatchObject({
        ok: true,
        head: { seq: end },
        unfinished: places.slice(1),
      })
      expect(writer.head.seq).toBe(22)
      await store.close()
    })

    it('writes what comes together in one transaction, and what comes meanwhile in the next', async () => {
      const store = await open(await engine.create())
      const table = counted(store)
      const writer = new AuditWriter(table, keys, clock)
      const first = Array.from({ length: 10 }, () => writer.append(entry()))
      expect(writer.pending).toBe(10)
      await new Promise(setImmediate)
      const second = Array.from({ length: 10 }, () => writer.append(entry()))
      await Promise.all([...first, ...second])
      await writer.idle()
      expect(writer.pending).toBe(0)
      expect(table.appends).toBe(2)
      // More than one transaction takes.
      await Promise.all(Array.from({ length: 600 }, () => writer.append(entry())))
      expect(table.appends).toBe(5)
      expect(await check(store)).toMatchObject({ ok: true, head: { seq: 621 } })
      await store.close()
    })

    it('refuses to change and to delete a record', async () => {
      const database = await engine.create()
      const store = await open(database)
      await new AuditWriter(store, keys, clock).append(entry())
      const before = await store.readAudit(0, 10)
      const attacks = [
        `UPDATE audit_records SET line = 'x' WHERE seq = 2`,
        `UPDATE audit_records SET seq = 9 WHERE seq = 2`,
        'DELETE FROM audit_records WHERE seq = 2',
        ...(database.kind === 'postgres' ? ['TRUNCATE audit_records'] : []),
      ]
      for (const attack of attacks)
        await expect(sql(database, attack)).rejects.toThrow('the audit log is append-only')
      expect(await store.readAudit(0, 10)).toEqual(before)
      expect(before).toHaveLength(2)
      await store.close()
    })

    it('shows a record that was changed without the triggers', async () => {
      const database = await engine.create()
      const store = await open(database)
      const writer = new AuditWriter(store, keys, clock)
      for (let i = 0; i < 3; i++) await writer.append(entry())
      await withoutTriggers(database)
      await sql(
        database,
        `UPDATE audit_records SET line = replace(line, '"actor":"user"', '"actor":"admin"') WHERE seq = 3`,
      )
      expect(await check(store)).toEqual({ ok: false, seq: 3, problem: 'changed' })
      await sql(database, `UPDATE audit_records SET line = 'x' WHERE seq = 4`)
      // Nothing is chained on to what somebody else wrote, nor to what is no record.
      await expect(writer.append(entry())).rejects.toThrow('does not have what this server wrote')
      const next = new AuditWriter(store, keys, clock)
      await expect(next.append(entry())).rejects.toThrow('damaged')
      expect(await writer.check()).toBe(false)
      expect(await store.readAudit(4, 1)).toEqual([])
      await store.close()
    })

    it('keeps nothing of a write that failed, says so, and goes on', async () => {
      const store = await open(await engine.create())
      const table = counted(store)
      const writer = new AuditWriter(table, keys, clock)
      await writer.append(entry())
      table.refusing = true
      const failed = await Promise.allSettled([writer.append(entry()), writer.append(entry())])
      expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
      expect(writer.head.seq).toBe(2)
      table.refusing = false
      expect(await writer.append(entry())).toBe(3)
      expect(await check(store)).toMatchObject({ ok: true, head: { seq: 3 } })
      await store.close()
      await expect(writer.append(entry())).rejects.toMatchObject({ name: 'StorageUnavailable' })
    })

    it('records a new generation', async () => {
      const store = await open(await engine.create())
      const writer = new AuditWriter(store, keys, clock)
      await writer.append(entry())
      const { generation } = await store.run((uow) => uow.meta.restored(2))
      // Until then the log does not know of it.
      expect(await check(store)).toEqual({ ok: false, seq: 3, problem: 'cut_off' })
      // Not by the server under which it changed: there it is no restore.
      await expect(writer.append(entry())).rejects.toThrow('generation')
      await expect(writer.open()).rejects.toThrow('generation')
      expect(await check(store)).toEqual({ ok: false, seq: 3, problem: 'cut_off' })
      const restarted = new AuditWriter(store, keys, clock)
      await restarted.open()
      await restarted.open()
      expect(await check(store)).toMatchObject({ ok: true, head: { seq: 3 }, generation })
      const [last] = await store.readAudit(2, 1)
      expect(parseLine(last!.line)?.record.action).toBe('generation_changed')
      await store.close()
    })

    it('is not gone on with after a record that no server made', async () => {
      const database = await engine.create()
      const store = await open(database)
      const running = new AuditWriter(store, keys, clock)
      await running.append(entry())
      const [last] = await store.readAudit(1, 1)
      const { record, hash } = parseLine(last!.line)!
      const next = (chain: Uint8Array) => seal({ ...keys, chain }, { seq: 2, hash }, record)
      const good = next(keys.chain)
      const changed = { ...good, record: { ...good.record, action: 'export' } }
      const forged = next(new Uint8Array(32).fill(9))
      await withoutTriggers(database)
      for (const bad of [changed, forged]) {
        const line = formatLine(bad)
        await sql(database, `INSERT INTO audit_records (seq, line) VALUES (3, '${line}')`)
        const restarted = new AuditWriter(store, keys, clock)
        for (const writer of [running, restarted])
          await expect(writer.append(entry())).rejects.toThrow('damaged')
        await expect(restarted.open()).rejects.toThrow('damaged')
        expect(await running.check()).toBe(false)
        expect(await store.readAudit(3, 1)).toEqual([])
        await sql(database, 'DELETE FROM audit_records WHERE seq > 2')
      }
      expect(await running.append(entry())).toBe(3)
      await store.close()
    })

    it('is gone on with after others only while it has what the writer wrote before them', async () => {
      const database = await engine.create()
      const store = await open(database)
      const [one, other] = [
        new AuditWriter(store, keys, clock),
        new AuditWriter(store, keys, clock),
      ]
      const beside = await openAuditBeside(database)
      const outside = new AuditWriter(beside, keys, clock)
      // In turns: each finds its own record before those of the others.
      for (const writer of [one, other, outside, one, outside, other, one])
        await writer.append(entry())
      expect(await check(store)).toMatchObject({ ok: true, head: { seq: 8 } })
      // As after a failover to a copy without the last two records, which another server went on with.
      await withoutTriggers(database)
      await sql(database, 'DELETE FROM audit_records WHERE seq > 6')
      for (let i = 0; i < 3; i++) await outside.append(entry({ action: 'export' }))
      for (const writer of [one, other])
        await expect(writer.append(entry())).rejects.toThrow('does not have what this server wrote')
      expect(await one.check()).toBe(false)
      expect(await check(store)).toMatchObject({ ok: true, head: { seq: 9 } })
      // What writes beside the server looks too.
      await sql(database, 'DELETE FROM audit_records WHERE seq > 6')
      const restarted = new AuditWriter(store, keys, clock)
      for (let i = 0; i < 4; i++) await restarted.append(entry())
      await expect(outside.append(entry())).rejects.toThrow('does not have')
      expect(await check(store)).toMatchObject({ ok: true, head: { seq: 10 } })
      await beside.close()
      await store.close()
    })

    it('does not excuse an end that was cut off by a generation that somebody wrote', async () => {
      const database = await engine.create()
      const store = await open(database)
      const writer = new AuditWriter(store, keys, clock)
      for (let i = 0; i < 3; i++) await writer.append(entry())
      // A true record of an earlier generation, from an export, put behind the last one.
      const [last] = await store.readAudit(3, 1)
      const { record, hash } = parseLine(last!.line)!
      const earlier = { ...record, generation: 'c'.repeat(32) }
      const line = formatLine(seal(keys, { seq: 4, hash }, earlier))
      await sql(database, `INSERT INTO audit_records (seq, line) VALUES (5, '${line}')`)
      await expect(writer.append(entry())).rejects.toThrow('generation')
      expect(await store.readAudit(5, 1)).toEqual([])
      await withoutTriggers(database)
      await sql(database, 'DELETE FROM audit_records WHERE seq > 2')
      await sql(database, `UPDATE meta SET generation = '${'b'.repeat(32)}' WHERE id = 1`)
      await expect(writer.append(entry())).rejects.toThrow('generation')
      expect(await writer.check()).toBe(false)
      expect(await store.readAudit(2, 1)).toEqual([])
      await store.close()
    })

    it('is not written inside of a unit of work', async () => {
      const store = await open(await engine.create())
      const inside = store.run(() => store.appendAudit(() => []))
      await expect(inside).rejects.toThrow('inside of a unit of work')
      await store.close()
    })

    // On SQLite there is one server only.
    if (engine.name !== 'SQLite')
      it('is one chain of several servers', async () => {
        const database = await engine.create()
        const stores = await Promise.all([open(database), open(database), open(database)])
        const writers = stores.map((store) => new AuditWriter(store, keys, clock))
        const all = async (writer: AuditWriter) => {
          for (let i = 0; i < 25; i++) {
            const of = await writer.append(entry())
            await writer.append(entry({ of, outcome: 'done' }))
          }
        }
        await Promise.all([...writers, ...writers].map(all))
        expect(await check(stores[0])).toMatchObject({
          ok: true,
          head: { seq: 301 },
          unfinished: [],
        })
        await Promise.all(stores.map((store) => store.close()))
      })
  })
})
