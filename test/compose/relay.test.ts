import { describe, expect, it } from 'vitest'
import { createLogger } from '../../src/compose/index.js'
import type { Note } from '../../src/compose/notes.js'
import { composeRelay } from '../../src/compose/relay.js'
import type { Config } from '../../src/config.js'

/** What is said at the start of a server with this REDIS_URL. */
async function warnings(url: string): Promise<readonly string[]> {
  const notes: Note[] = []
  const config = { roomLifetimeMs: 60_000, redis: { url, clientId: undefined } } as Config
  const relay = composeRelay(config, createLogger('silent'), (level, text) => {
    notes.push({ level, text })
  })
  await relay.close(0)
  return notes.filter(({ level }) => level === 'warn').map(({ text }) => text)
}

describe('a REDIS_URL', () => {
  it.each(['redis://:hunter2@redis.example', 'redis://user:hunter2@10.0.0.1:6379'])(
    'is warned of when its password travels in clear: %s',
    async (url) => {
      const said = await warnings(url)
      expect(said).toEqual([expect.stringContaining('rediss://')])
      expect(said.join()).not.toContain('hunter2')
    },
  )

  it.each([
    'rediss://:hunter2@redis.example',
    'redis://redis.example',
    'redis://user@redis.example',
    'redis://:hunter2@127.0.0.1:6379',
    'redis://:hunter2@LOCALHOST',
    'redis://:hunter2@[::1]:6379',
  ])('is not warned of where nobody else can read it: %s', async (url) => {
    expect(await warnings(url)).toEqual([])
  })
})
