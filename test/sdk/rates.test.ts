import { UnavailableError, type EcdsaKey } from '@vertex/sdk'
import { afterAll, expect, it, vi } from 'vitest'
import { wipeData } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
afterAll(() => harness.end())

const toSign = { message: utf8('once more'), hashAlgo: 'sha256' as const }

const refusalOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('was not refused'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(UnavailableError)
      return error as UnavailableError
    },
  )

it('a recovery that meets a limit says when to come back, and changes nothing', async () => {
  let server = await harness.server('recovery')
  const client = await harness.client(server)
  const keys: EcdsaKey[] = []
  for (let i = 0; i < 3; i++) keys.push(await client.ecdsa.createKey())
  const recovered: string[] = []
  client.on('recovered', ({ id }) => recovered.push(id))

  const restart = async (settings: Record<string, string>) => {
    await server.stop()
    server = await harness.server('recovery', { port: server.port, settings })
  }
  await server.stop()
  wipeData(server.folder)
  server = await harness.server('recovery', {
    port: server.port,
    settings: { VERTEX_RATE_IMPORTS: '2' },
  })
  await keys[0]!.sign(toSign)
  await keys[1]!.sign(toSign)
  const { keyId } = keys[2]!
  for (let i = 0; i < 2; i++) {
    const refused = await refusalOf(keys[2]!.sign(toSign))
    expect([refused.errType, refused.status]).toEqual(['rate_limited', 429])
    expect(refused.retryAfter).toBeGreaterThan(0)
  }
  expect(keys[2]!.keyId).toBe(keyId)
  expect(recovered).toEqual([keys[0]!.id, keys[1]!.id])
  // Keys that are back sign on meanwhile.
  await keys[0]!.sign(toSign)

  await restart({})
  await keys[2]!.sign(toSign)
  expect(recovered).toEqual(keys.map(({ id }) => id))
})

it('a signature or a batch that meets a limit is told so, and not tried again', async () => {
  const server = await harness.server('signing', { settings: { VERTEX_RATE_SIGNATURES: '32' } })
  let asked = 0
  const client = await harness.client(server, {
    fetch: (input, init) => {
      if (/\/(?:batch-)?sign$/.test(new URL(input).pathname)) asked++
      return fetch(input, init)
    },
  })
  const key = await client.ecdsa.createKey()
  await key.signBatch(Array.from({ length: 32 }, () => toSign))
  for (const work of [() => key.sign(toSign), () => key.signBatch([toSign, toSign])]) {
    asked = 0
    const { errType, message, retryAfter } = await refusalOf(work())
    expect([errType, asked]).toEqual(['rate_limited', 1])
    expect(message).toMatch(/^at most 32 signatures of one key in a minute/)
    expect(retryAfter).toBeGreaterThan(0)
    expect(retryAfter).toBeLessThanOrEqual(60)
  }
})
