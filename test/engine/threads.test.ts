import { readdirSync, readFileSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'
import { ProtocolAbort, RunFailed, type RoomLink } from '@vertex/mpc'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorData, errorFrom } from '../../src/engine/error-data.js'
import type { ThreadPool } from '../../src/engine/pool.js'
import { problemOf } from '../../src/http/errors.js'
import type { Engine, Lifeline, VaultEvent } from '../../src/vault/index.js'
import { startThreads } from '../support/threads.js'
import {
  behave,
  cheat,
  makeKey,
  settleBoth,
  signTogether,
  verifies,
} from '../vault/support/client.js'
import { cleanUp, openWorld, withVerbs } from '../vault/support/world.js'

const workers: Worker[] = []
const seen = (worker: Worker) => workers.push(worker)
let pool: ThreadPool | undefined

beforeEach(() => {
  process.on('worker', seen)
})
afterEach(async () => {
  process.off('worker', seen)
  workers.length = 0
  await cleanUp()
  await pool?.close()
  pool = undefined
})

/** A world that computes in threads, with a user and a key. */
async function withKey(change: (engine: Engine) => Partial<Engine> = () => ({}), threads = 2) {
  const events: VaultEvent[] = []
  const real = (pool = await startThreads({ threads, log: (event) => events.push(event) }))
  const engine: Engine = {
    capacity: real.capacity,
    sign: (work) => real.sign(work),
    keygen: (work) => real.keygen(work),
  }
  const world = await openWorld({ engine: { ...engine, ...change(engine) } })
  const caller = await world.newCaller()
  const key = await makeKey(world, caller)
  return { world, caller, key, events }
}

/** A link whose party's `from`-th message, and what follows, waits until it is let go; and the sizes of what comes. */
function held(link: RoomLink, from: number) {
  const waiting: (() => void)[] = []
  const received: number[] = []
  let sent = 0
  let holds = true
  let reached: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => (reached = resolve))
  const wrapped: RoomLink = {
    slot: link.slot,
    size: link.size,
    send(to, bytes) {
      if (++sent < from || !holds) {
        link.send(to, bytes)
        return
      }
      waiting.push(() => {
        link.send(to, bytes)
      })
      reached()
    },
    async receive() {
      const event = await link.receive()
      if (event.type === 'message') received.push(event.bytes.length)
      return event
    },
    leave: () => {
      link.leave()
    },
  }
  return {
    link: wrapped,
    stopped,
    received,
    release() {
      holds = false
      for (const send of waiting.splice(0)) send()
    },
  }
}

const event = (of: string): unknown => expect.objectContaining({ event: of })

describe('runs in worker threads', () => {
  it('make keys and signatures, one after the other and many at once', async () => {
    const { world, caller, key } = await withKey()
    expect(workers).toHaveLength(2)
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
    const other = await makeKey(world, caller)
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const which = i % 2 === 0 ? key : other
        const signature = await signTogether(world, caller, which, { message: `message ${i}` })
        expect(verifies(which.pubkey, `message ${i}`, signature)).toBe(true)
      }),
    )
  })

  it.runIf(process.platform === 'linux')('let everything else go first', async () => {
    // proc(5): of what follows the name in parentheses, the 17th is how nice a thread is.
    const niceThreads = () =>
      readdirSync('/proc/self/task').filter((thread) => {
        const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16] === '19'
      })
    expect(niceThreads()).toHaveLength(0)
    pool = await startThreads({ threads: 2 })
    expect(niceThreads()).toHaveLength(2)
  })

  it('take the secrets along: nothing of them is left in the main thread', async () => {
    const secrets: Uint8Array[] = []
    const kept: Uint8Array[] = []
    const { world, caller, key } = await withKey((engine) => ({
      sign: (work) => {
        secrets.push(work.record, ...work.setups.known.values())
        expect(secrets.map(({ byteLength }) => byteLength > 0)).toEqual([true, true])
        return engine.sign(work)
      },
      keygen: (work) =>
        engine.keygen({
          ...work,
          keep: async (made) => {
            kept.push(made.record)
            expect(made.record.some((byte) => byte !== 0)).toBe(true)
            await work.keep(made)
          },
          setups: {
            ...work.setups,
            save: async (peer, setup) => {
              kept.push(setup.record)
              expect(setup.record.some((byte) => byte !== 0)).toBe(true)
              await work.setups.save(peer, setup)
            },
          },
        }),
    }))
    expect(kept).toHaveLength(2)
    for (const record of kept) expect(record.every((byte) => byte === 0)).toBe(true)
    await signTogether(world, caller, key)
    expect(secrets.map(({ byteLength }) => byteLength)).toEqual([0, 0])
    for (const secret of secrets) expect(secret.buffer.byteLength).toBe(0)
  })

  it('end with 503 when their thread dies, and the next signature finds another', async () => {
    const { world, caller, key, events } = await withKey()
    let client: ReturnType<typeof held> | undefined
    key.client.wrap = (link) => (client = held(link, 2)).link
    const signing = settleBoth(world, caller, key)
    // The handshake is done, the first flight is held back: the run is in the middle.
    while (client === undefined) await new Promise(setImmediate)
    await client.stopped
    await Promise.all(workers.map((worker) => worker.terminate()))
    const [vaults] = await signing
    expect(vaults).toMatchObject({ status: 'rejected', reason: { errType: 'too_busy' } })
    const { status, retryAfter } = problemOf((vaults as PromiseRejectedResult).reason, 'id')
    expect([status, retryAfter]).toEqual([503, 1])
    expect(events).toEqual([event('thread_ended'), event('thread_ended')])
    key.client.wrap = (link) => link
    let again = (await settleBoth(world, caller, key))[0]
    while (again.status === 'rejected') {
      // The new threads are still starting.
      expect(again.reason).toMatchObject({ errType: 'too_busy' })
      await new Promise((resolve) => setTimeout(resolve, 20))
      again = (await settleBoth(world, caller, key))[0]
    }
    expect(verifies(key.pubkey, 'hello', again.value)).toBe(true)
    expect(workers).toHaveLength(4)
  })

  it('stop before their next message when their flag is cut', async () => {
    let life: Lifeline | undefined
    const { world, caller, key } = await withKey((engine) => ({
      sign: (work) => {
        life = work.setups.life
        return engine.sign(work)
      },
    }))
    let client: ReturnType<typeof held> | undefined
    key.client.wrap = (link) => (client = held(link, 2)).link
    const signing = settleBoth(world, caller, key)
    while (client === undefined) await new Promise(setImmediate)
    await client.stopped
    // The flag alone: the room stays, so only the thread itself can end the run.
    life!.cut()
    client.release()
    const [vaults, clients] = await signing
    expect(vaults).toMatchObject({
      reason: { errType: 'session_mismatch', details: { field: 'setup' } },
    })
    expect(clients).toMatchObject({ reason: { abort: { code: 'session_mismatch' } } })
    // The handshake and the notice; a flight has tens of kilobytes.
    for (const size of client.received) expect(size).toBeLessThan(1000)
  })

  it('are killed in one thread by a check that fails in another', async () => {
    const { world, caller, key } = await withKey()
    let client: ReturnType<typeof held> | undefined
    key.client.wrap = (link) => (client = held(link, 2)).link
    const honest = settleBoth(world, caller, key, { message: 'honest' })
    while (client === undefined) await new Promise(setImmediate)
    await client.stopped
    key.client.wrap = (link) => link
    cheat(key.client)
    const [cheated] = await settleBoth(world, caller, key, { message: 'cheat' })
    expect(cheated).toMatchObject({
      reason: { errType: 'protocol_abort', details: { reaction: 'retire_setup' } },
    })
    const [vaults] = await honest
    expect(vaults).toMatchObject({ reason: { errType: 'session_mismatch' } })
    expect(world.events).toContainEqual(event('setup_retired'))
    behave(key.client)
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
  })

  it('end with the error of the vault that they asked for something', async () => {
    const { world, caller, key } = await withKey()
    world.store.tamper = (uow) => ({
      ...uow,
      setups: withVerbs(uow.setups, { save: () => Promise.reject(new Error('of the vault')) }),
    })
    key.client.setups.clear()
    const [vaults] = await settleBoth(world, caller, key)
    expect(vaults).toMatchObject({ reason: { message: 'of the vault' } })
    world.store.tamper = undefined
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
  })

  it('are refused with 503 when there are as many as the threads take', async () => {
    const { world, caller, key } = await withKey(() => ({ capacity: 1 }))
    let client: ReturnType<typeof held> | undefined
    key.client.wrap = (link) => (client = held(link, 2)).link
    const first = settleBoth(world, caller, key)
    while (client === undefined) await new Promise(setImmediate)
    await client.stopped
    const { roomUuid } = await world.vault.createRoom(caller, 2)
    const { keyId } = key
    const refused: unknown = await world.vault
      .sign(caller, { keyId, roomUuid, msg: '00', hashAlgo: 'sha256' })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ errType: 'too_busy' })
    expect(problemOf(refused, 'id')).toMatchObject({ status: 503, retryAfter: 1 })
    client.release()
    const [vaults] = await first
    expect(vaults.status).toBe('fulfilled')
  })
})

describe('an error that crosses threads', () => {
  const across = (error: unknown) => errorFrom(structuredClone(errorData(error)), new Map())

  it('is the same one on the other side', () => {
    const keygenId = new Uint8Array(33).fill(2)
    const party = { index: 1, keygenId } as never
    const failed = new RunFailed('room_timeout', { missing: [party] })
    expect(across(failed)).toEqual(failed)
    expect(across(failed)).toBeInstanceOf(RunFailed)
    const abort = new ProtocolAbort('ot_check_failed', 3, [2 as never])
    expect(across(abort)).toEqual(abort)
    expect(across(abort)).toMatchObject({ reaction: 'retire_setup', message: abort.message })
    const bug = new TypeError('a bug')
    expect(across(bug)).toMatchObject({ name: 'TypeError', message: 'a bug', stack: bug.stack })
  })
})
