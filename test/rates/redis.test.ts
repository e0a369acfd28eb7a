import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.js'
import { ratesInRedis, type RateSettings } from '../../src/rates/index.js'
import { Redis } from '../../src/redis/index.js'
import { missingRedis, startRedis, type TestRedis } from '../support/redis.js'

const { rates: defaults } = readConfig({})
const missing = missingRedis()

describe.skipIf(missing !== undefined)(
  `rates of several servers${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let redis: TestRedis
    const open: Redis[] = []
    let users = 0
    const newUser = () => `user ${++users}`

    beforeAll(async () => {
      redis = await startRedis()
    })
    afterAll(async () => {
      await Promise.all(open.map((one) => one.close()))
      await redis.stop()
    })

    async function server(settings: Partial<RateSettings>) {
      const connection = new Redis({ url: redis.url, scripts: [], log: () => undefined })
      open.push(connection)
      await connection.start()
      const rates = ratesInRedis({ ...defaults, ...settings }, (lua, key, args) =>
        connection.send('EVAL', lua, '1', key, ...args),
      )
      return { rates, connection }
    }

    it('are counted together, and each kind for itself', async () => {
      const [a, b] = [await server({ exports: 3 }), await server({ exports: 3 })]
      const user = newUser()
      expect(await a.rates.count('exports', user)).toMatchObject({ allowed: true, left: 2 })
      expect(await b.rates.count('exports', user)).toMatchObject({ allowed: true, left: 1 })
      expect(await b.rates.count('exports', user, 2)).toMatchObject({ allowed: false, left: 1 })
      expect(await a.rates.count('exports', user)).toMatchObject({ allowed: true, left: 0 })
      const refused = await b.rates.count('exports', user)
      expect(refused).toMatchObject({ allowed: false, most: 3, left: 0 })
      expect(refused.ms).toBeGreaterThan(3_500_000)
      expect(refused.ms).toBeLessThanOrEqual(3_600_000)
      expect((await b.rates.count('imports', user)).allowed).toBe(true)
      expect((await b.rates.count('exports', newUser())).allowed).toBe(true)
    })

    it('are no more in a window for what was refused at the end of the one before', async () => {
      const { connection } = await server({})
      const user = newUser()
      let ends = false
      const rates = ratesInRedis({ ...defaults, exports: 3 }, async (lua, key, args) => {
        const answer = await connection.send('EVAL', lua, '1', key, ...args)
        if (ends) await connection.send('DEL', key)
        return answer
      })
      for (let i = 0; i < 3; i++) await rates.count('exports', user)
      ends = true
      expect(await rates.count('exports', user, 2)).toMatchObject({ allowed: false, left: 0 })
      ends = false
      for (const left of [2, 1, 0])
        expect(await rates.count('exports', user)).toMatchObject({ allowed: true, left })
      expect(await rates.count('exports', user)).toMatchObject({ allowed: false })
    })

    it('leave nothing in Redis for longer than they count', async () => {
      const { rates } = await server({})
      const user = newUser()
      await rates.count('requests', user)
      const ttl = Number(redis.cli('ttl', `vertex:rate:requests:${user}`))
      expect(ttl).toBeGreaterThan(0)
      expect(ttl).toBeLessThanOrEqual(60)
    })

    it('are counted here while Redis is silent or gone, and together again after it', async () => {
      const { rates, connection } = await server({ creates: 2 })
      const user = newUser()
      redis.signal('SIGSTOP')
      try {
        for (const allowed of [true, true, false])
          expect(await rates.count('creates', user)).toMatchObject({ allowed })
      } finally {
        redis.signal('SIGCONT')
      }
      await redis.kill()
      expect(await rates.count('creates', user)).toMatchObject({ allowed: false })
      await redis.restart()
      await expect.poll(() => connection.ready, { timeout: 20_000 }).toBe(true)
      expect(await rates.count('creates', user)).toMatchObject({ allowed: true, left: 1 })
    })
  },
)
