import { afterEach, expect, it } from 'vitest'
import { makeKey, signTogether, verifies } from './support/client.js'
import { cleanUp, openWorld } from './support/world.js'

afterEach(cleanUp)

it('makes a key and signs with it', async () => {
  const world = await openWorld()
  const caller = await world.newCaller()
  const t0 = performance.now()
  const key = await makeKey(world, caller)
  const t1 = performance.now()
  const signature = await signTogether(world, caller, key)
  const t2 = performance.now()
  await signTogether(world, caller, key)
  console.log(t1 - t0, t2 - t1, performance.now() - t2)
  expect(verifies(key.pubkey, 'hello', signature)).toBe(true)
})
