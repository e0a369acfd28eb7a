import BetterSqlite3 from 'better-sqlite3'
import pg from 'pg'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { engines, type TestEngine } from '../store/engines.js'
import { makeKey, signTogether, verifies } from './support/client.js'
import { cleanUp, openWorld } from './support/world.js'

/** Records every statement at the driver, whoever sends it. */
function listen(): string[] {
  const sent: string[] = []
  const client = pg.Client.prototype as unknown as Record<'query', (...args: unknown[]) => unknown>
  const original = client['query']
  vi.spyOn(client, 'query').mockImplementation(function (this: unknown, ...args) {
    const [query] = args
    sent.push(typeof query === 'string' ? query : (query as { text: string }).text)
    return original.apply(this, args)
  })
  // Statements share one prototype; any database shows it.
  const statements = Object.getPrototypeOf(
    new BetterSqlite3(':memory:').prepare('SELECT 1'),
  ) as Record<string, (this: { source: string }, ...args: unknown[]) => unknown>
  for (const name of ['all', 'get', 'run', 'iterate']) {
    const original = statements[name]!
    vi.spyOn(statements, name).mockImplementation(function (this: { source: string }, ...args) {
      sent.push(this.source)
      return original.apply(this, args)
    })
  }
  return sent
}

describe.each<TestEngine>(engines)('a signature on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('in the steady state', () => {
    afterEach(async () => {
      vi.restoreAllMocks()
      await cleanUp()
    })
    afterAll(() => engine.cleanUp())

    it('asks the database once and is recorded in one more statement, both outside of any transaction', async () => {
      const sent = listen()
      const world = await openWorld({ database: await engine.create() })
      const caller = await world.newCaller()
      const key = await makeKey(world, caller)
      await signTogether(world, caller, key)
      expect(sent.length, 'the spies hear what is sent').toBeGreaterThan(20)
      sent.length = 0
      for (let i = 0; i < 5; i++) {
        const again = await world.vault.authenticate(caller.apiKey)
        const signature = await signTogether(world, again, key, { message: `message ${i}` })
        expect(verifies(key.pubkey, `message ${i}`, signature)).toBe(true)
      }
      const appends = sent.filter((statement) => statement.includes('INSERT INTO audit_records'))
      const reads = sent.filter((statement) => !appends.includes(statement))
      expect(reads).toHaveLength(5)
      expect(new Set(reads).size).toBe(1)
      expect(reads[0]).toMatch(/^SELECT .* FROM key_handles /s)
      // The record of an end is written along with that of the next beginning, unless that is long in coming.
      expect(appends.length).toBeGreaterThanOrEqual(5)
      expect(appends.length).toBeLessThanOrEqual(10)
      expect(appends.every((statement) => statement.startsWith('WITH '))).toBe(true)
    })
  })
})
