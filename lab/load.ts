import type { EcdsaKey } from '@vertex/sdk'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lost } from './ledger.js'
import type { Random } from './random.js'
import type { World } from './world.js'

const WORKERS = 3

/** Everything that a user does, by several at once, until it is stopped. What fails as documented is tried no more. */
export function load(world: World, key: EcdsaKey, random: Random): { stop(): Promise<void> } {
  let stopped = false
  const keys = [key]
  let users = 0

  const once = async () => {
    const one = random.of(keys)
    const draw = random.below(10)
    if (draw < 2) {
      const made = await world.attempt('create key', () => world.createKey())
      if (made !== undefined) keys.push(made)
    } else if (draw < 7) {
      const message = new TextEncoder().encode(`load ${Math.random()}`)
      const sign = () => one.sign({ message, hashAlgo: 'sha256' })
      const signed = await world.attempt('sign', sign)
      if (signed === undefined) return false
      world.judge(one.publicKey, message, signed.der)
      world.ledger.acknowledged()
    } else if (draw < 9) {
      await world.attempt('import', () => importBackupOf(world, one))
    } else {
      const name = `user ${random.below(2 ** 31)} ${(users += 1)}`
      await world.attempt('create user', () => world.createUser(name))
    }
    return true
  }
  const worker = async () => {
    while (!stopped) if (!(await once())) await sleep(20)
  }
  const workers = Promise.all(Array.from({ length: WORKERS }, worker))
  return {
    stop: async () => {
      stopped = true
      await workers
    },
  }
}

/** A fresh backup of a share comes back as one more handle of it. */
async function importBackupOf(world: World, key: EcdsaKey): Promise<void> {
  const backup = await key.exportBackup()
  const rest = world.vertex.rest
  const { key_id } = await world.typed(() => rest.importKeyShare(backup))
  world.ledger.promise(`handle ${key_id}`, async () => {
    const get = () => world.typed(() => rest.getKey({ key_id }))
    const { pubkey } = await world.insist('get key', get)
    if (pubkey !== Buffer.from(key.publicKey).toString('hex'))
      throw new Lost('another key is behind it')
  })
}
