import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeyNotFoundError } from '@vertex/sdk'
import { freePort, startServer } from '../../demo/server.js'
import { described } from '../ledger.js'
import { openWorld } from '../open-world.js'
import { someKey } from '../operations.js'
import { program } from '../places.js'
import { Random } from '../random.js'
import type { Lab, Scenario } from '../scenario.js'
import { seenAnew, START_MS, type World } from '../world.js'

const runs = (lab: Lab) => (random: Random) =>
  Array.from({ length: lab.short ? 1 : 4 }, () => random.below(2 ** 31))

export const twoCopies: Scenario = {
  name: 'two-copies',
  about:
    'a copied data directory comes to life beside the original, and a second server on the original',
  engines: ['sqlite'],
  async open(lab) {
    const world = await openWorld(lab, 'sqlite')
    return {
      world,
      seeds: runs(lab),
      async run() {
        const probe = await someKey(world)
        await sameDirectoryIsRefused(world)
        await world.stop()
        const copy = `${world.folder}-copy`
        rmSync(copy, { recursive: true, force: true })
        cpSync(world.folder, copy, { recursive: true })
        const since = performance.now()
        await world.start()
        const port = await freePort()
        const { settings } = world
        const patient = { readyWithinMs: START_MS }
        const clone = await startServer({ program, folder: copy, port, settings, ...patient })
        try {
          await world.recovers(since, probe)
          await signAtBoth(world, probe.id, clone.url, 6)
          await stayApart(world, clone.url)
        } finally {
          await clone.kill()
          rmSync(copy, { recursive: true, force: true })
        }
        await world.ledger.audit()
        return world.ledger.take()
      },
      close: () => world.close(),
    }
  },
}

/** Signs the same message with both, in turn. */
export async function signAtBoth(
  world: World,
  id: string,
  copy: string,
  turns: number,
): Promise<void> {
  const seen = new Set<string>()
  for (let turn = 0; turn < turns; turn++) {
    const store = seenAnew(world.store)
    const client = turn % 2 === 0 ? world.client(store) : world.client(store, copy)
    const key = await client.ecdsa.openKey(id)
    const message = new TextEncoder().encode('the same for both')
    const signature = await world.insist('sign', () => key.sign({ message, hashAlgo: 'sha256' }))
    world.judge(key.publicKey, message, signature.der)
    world.ledger.acknowledged()
    // One nonce used twice is the key given away.
    const r = Buffer.from(signature.r).toString('hex')
    if (seen.has(r)) world.ledger.wrong('two signatures have the same r')
    seen.add(r)
  }
}

/** The copy must not get hold of a key that was made with the original since. */
async function stayApart(world: World, copy: string): Promise<void> {
  const made = await world.createKey()
  const at = await world.client(seenAnew(world.store), copy).ecdsa.openKey(made.id)
  const said = await at.sign({ message: new Uint8Array(32), hashAlgo: 'none' }).then(
    () => 'a signature',
    (error: unknown) =>
      error instanceof KeyNotFoundError && error.refusal === 'same_generation'
        ? undefined
        : described(error),
  )
  if (said !== undefined) world.ledger.wrong(`a key that the copy does not have: ${said}`)
}

/** A second server on the same directory must say that it is in use, and end. */
export async function sameDirectoryIsRefused(world: World): Promise<void> {
  const second = await beside(world)
  const ended = once(second.process, 'close')
  const answers = async () => {
    const giveUp = Date.now() + START_MS
    while (Date.now() < giveUp) {
      const ready = await fetch(`http://127.0.0.1:${second.port}/readyz`).catch(() => undefined)
      if (ready?.ok === true) return 'it answers'
      if (second.process.exitCode !== null) return undefined
      await sleep(50)
    }
    return 'it neither answers nor ends'
  }
  const said = await answers()
  second.process.kill('SIGKILL')
  await ended
  const refused = second.process.exitCode === 78 && second.output().includes('in use')
  if (said !== undefined || !refused)
    world.ledger.wrong(
      `a second server on the same directory was not refused: ${said ?? second.output()}`,
    )
}

/** Another server process of the same vault, ready or not. */
export async function beside(world: World) {
  const port = await freePort()
  const server: ChildProcess = spawn(process.execPath, [program], {
    cwd: world.folder,
    env: { PATH: process.env['PATH'], PORT: String(port), ...world.settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [server.stdout!, server.stderr!])
    stream.on('data', (bytes: Buffer) => (output += bytes.toString()))
  return { port, process: server, output: () => output }
}

export const twoProcesses: Scenario = {
  name: 'two-processes',
  about:
    'two servers on one Postgres: one of them answers, and the other follows when it is killed',
  engines: ['postgres'],
  async open(lab, engine) {
    const world = await openWorld(lab, engine)
    const { id } = await world.createKey()
    return {
      world,
      seeds: runs(lab),
      async run(seed) {
        // Until it gives up, or while it still waits.
        const patient = new Random(seed).below(2) === 0
        const second = await beside(world)
        const url = `http://127.0.0.1:${second.port}`
        const refused = () => second.process.exitCode !== null
        try {
          for (let asked = 0; asked < 3 || (patient && !refused()); asked++) {
            await world.insist('create key', () => world.createKey())
            await answersNothing(world, id, url)
          }
          const since = performance.now()
          await world.kill()
          // One that refused to start is started again, as a platform does; one that waits follows.
          if (refused()) await world.start()
          else await world.moveTo(second.port)
          await world.recovers(since, await world.vertex.ecdsa.openKey(id))
          await world.ledger.audit()
          await world.inspect()
        } finally {
          second.process.kill('SIGKILL')
          if (!refused() && second.process.signalCode === null) await once(second.process, 'exit')
        }
        if (!world.isRunning) await world.start()
        return world.ledger.take()
      },
      close: () => world.close(),
    }
  },
}

/** While another server holds the database, this one must not sign. */
export async function answersNothing(world: World, id: string, url: string): Promise<void> {
  const key = await world.client(seenAnew(world.store), url).ecdsa.openKey(id)
  const answered = await world.attempt('sign at the second', () =>
    key.sign({ message: new Uint8Array(32), hashAlgo: 'none', deadlineMs: 3_000 }),
  )
  if (answered !== undefined) world.ledger.wrong('the second server answered too')
}
