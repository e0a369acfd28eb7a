import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { VertexError } from '@vertex/sdk'
import type { ClientTask } from '../client-process.js'
import { described } from '../ledger.js'
import { openWorld } from '../open-world.js'
import { project } from '../places.js'
import { Random } from '../random.js'
import type { Scenario } from '../scenario.js'
import type { World } from '../world.js'

/** Two keys made and used are no more than this many writes to the store. */
const WRITES = 14

/** Even: before the write of this number; odd: after it. From {@link AT_RANDOM} on: at a random moment. */
const AT_RANDOM = 1_000

export const killClient: Scenario = {
  name: 'kill-client',
  about: 'kill -9 of the client, at random and around every write to its share store',
  engines: ['sqlite'],
  short: ['sqlite'],
  async open(lab, engine) {
    const world = await openWorld(lab, engine)
    return {
      world,
      seeds: (random) => {
        const around = Array.from({ length: 2 * WRITES }, (_, i) => i + 2)
        const moments = Array.from({ length: 12 }, () => AT_RANDOM + random.below(2 ** 30))
        return lab.short ? [random.of(around)] : [...around, ...moments]
      },
      async run(seed) {
        await killed(world, seed)
        await world.openStore()
        // A key whose making was cut off can be finished, or is said to be unfinished.
        for (const id of await world.vertex.ecdsa.listKeys())
          await world
            .insist('open key', () => world.vertex.ecdsa.openKey(id))
            .catch((error: unknown) => {
              const unfinished =
                error instanceof VertexError && error.errType === 'keygen_unfinished'
              if (!unfinished) world.ledger.wrong(`open key ${id}: ${described(error)}`)
            })
        await world.ledger.audit()
        return world.ledger.take()
      },
      close: () => world.close(),
    }
  },
}

/** Lets a client work on the store until it is killed, and writes into the ledger what it was acknowledged. */
async function killed(world: World, seed: number): Promise<void> {
  await world.closeStore()
  const task: ClientTask = {
    url: world.url,
    apiKey: world.apiKey,
    directory: join(world.folder, 'shares'),
    kill:
      seed < AT_RANDOM
        ? { at: Math.floor(seed / 2), when: seed % 2 === 0 ? 'before' : 'after' }
        : undefined,
  }
  const client = spawn(
    process.execPath,
    [join(project, 'dist-tools/lab/client-process.js'), JSON.stringify(task)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const closed = once(client, 'close')
  let said = ''
  let complained = ''
  client.stderr.on('data', (bytes: Buffer) => (complained += bytes.toString()))
  client.stdout.on('data', (bytes: Buffer) => {
    if (said === '' && seed >= AT_RANDOM)
      void sleep(new Random(seed).between(0, 2_500)).then(() => client.kill('SIGKILL'))
    said += bytes.toString()
  })
  await closed
  if (client.signalCode !== 'SIGKILL') world.ledger.wrong(`the client ended: ${complained}`)
  const keys = new Map<string, Uint8Array>()
  for (const line of said.split('\n').slice(0, -1)) {
    const [what, id = '', hex = ''] = line.split(' ')
    const bytes = new Uint8Array(Buffer.from(hex, 'hex'))
    if (what === 'key') {
      keys.set(id, bytes)
      world.promiseKey({ id, publicKey: bytes })
    } else if (what === 'signature') {
      world.judge(keys.get(id)!, new TextEncoder().encode('laboratory'), bytes)
      world.ledger.acknowledged()
    }
  }
}
