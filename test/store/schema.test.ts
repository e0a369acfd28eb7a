import { afterAll, describe, expect, it } from 'vitest'
import { directoryTables } from '../../src/compose/directory.js'
import { openEngine } from '../../src/store/open.js'
import { openStore } from '../../src/store/index.js'
import { migrations } from '../../src/store/migrations/index.js'
import { clock, engines, sql, storageKey, testSeal } from './engines.js'
import { insertUser } from './rows.js'

describe.each(engines)('the schema on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('of the migrations', () => {
    afterAll(() => engine.cleanUp())
    const options = async () => ({
      database: await engine.create(),
      rowSeal: testSeal(storageKey),
      clock,
    })

    it('is the schema of the entities, with no drift, and names every table', async () => {
      const opened = await openEngine(await engine.create(), directoryTables)
      try {
        const drift = async () => {
          const { upQueries } = await opened.dataSource.driver.createSchemaBuilder().log()
          return upQueries.map(({ query }) => query)
        }
        const made = (await drift()).flatMap(
          (query) => /^CREATE TABLE "(?!temp)(\w+)"/.exec(query)?.[1] ?? [],
        )
        expect(new Set(made).size).toBe(13 + directoryTables('sqlite').length)
        await opened.migrate()
        expect(await drift()).toEqual([])
        // And the check sees a difference where there is one.
        await opened.dataSource.query('DROP INDEX "ix_ot_setups_peer"')
        expect(await drift()).not.toEqual([])
      } finally {
        await opened.close()
      }
    })

    it('runs each migration once', async () => {
      const once = await options()
      await (await openStore(once)).close()
      const store = await openStore(once)
      await store.close()
      expect(await sql(once.database, 'SELECT name FROM migrations')).toHaveLength(
        migrations.length,
      )
    })

    it('refuses a database that a newer version has changed', async () => {
      const newer = await options()
      await (await openStore(newer)).close()
      await sql(newer.database, `INSERT INTO migrations ("timestamp", name) VALUES (9, 'Later9')`)
      await expect(openStore(newer)).rejects.toMatchObject({
        name: 'StoreRefused',
        message: expect.stringContaining('newer version') as string,
      })
    })

    it('opened with another storage key is refused, and the setting is named', async () => {
      const mine = await options()
      const store = await openStore(mine)
      const user = await insertUser(store)
      await store.close()
      const foreign = openStore({ ...mine, rowSeal: testSeal(new Uint8Array(32).fill(8)) })
      await expect(foreign).rejects.toMatchObject({
        name: 'StoreRefused',
        message: expect.stringContaining('VERTEX_STORAGE_KEY_FILE') as string,
      })
      const again = await openStore(mine)
      expect(await again.run((uow) => uow.users.byId(user.userId))).toEqual(user)
      await again.close()
    })

    // On SQLite there is one server only.
    if (engine.name !== 'SQLite')
      it('is made once by servers that start together, with one generation', async () => {
        const shared = await options()
        const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(shared)))
        const metas = await Promise.all(stores.map((store) => store.run((uow) => uow.meta.get())))
        expect(new Set(metas.map(({ generation }) => generation)).size).toBe(1)
        await Promise.all(stores.map((store) => store.close()))
        expect(await sql(shared.database, 'SELECT name FROM migrations')).toHaveLength(
          migrations.length,
        )
      })
  })
})
