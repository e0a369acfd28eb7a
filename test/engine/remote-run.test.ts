import { Mailbox, RunFailed, type RoomEvent, type RoomLink } from '@vertex/mpc'
import { describe, expect, it } from 'vitest'
import { PART_BYTES } from '../../mpc/src/run/wire.js'
import { errorData } from '../../src/engine/error-data.js'
import {
  atOnce,
  bytesIn,
  type BeginSign,
  type RunMessage,
  type ToWorker,
} from '../../src/engine/messages.js'
import { RemoteRun } from '../../src/engine/remote-run.js'
import { WorkerRun } from '../../src/engine/worker-run.js'
import { Lifeline, type RunSetups } from '../../src/vault/index.js'

/** A run without a thread: what the worker would be told is written down. */
function runOn(given: {
  link?: Partial<RoomLink>
  setups?: Partial<RunSetups>
  signatures?: number
}) {
  const mailbox = new Mailbox()
  const link: RoomLink = {
    slot: 1,
    size: 2,
    send: () => undefined,
    receive: () => mailbox.receive(),
    leave: () => {
      mailbox.end('left')
    },
    ...given.link,
  }
  const setups = { known: new Map(), life: new Lifeline(), ...given.setups } as RunSetups
  const { signatures = 1 } = given
  const run = new RemoteRun({ link, setups, signatures })
  const told: Omit<ToWorker, 'run'>[] = []
  run.begin((message) => void told.push(message))
  return { run, told, mailbox }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const message = (length: number): RoomEvent => ({
  type: 'message',
  from: 2,
  bytes: new Uint8Array(length),
})

const at = atOnce(2, 1)

describe('a run in another thread', () => {
  it.each([
    ['events', 10, 2 * at.events],
    ['bytes', at.bytes / 8, 16],
    ['bytes of the longest messages', at.bytes, 2],
  ])('is not sent more %s than it reads', async (_, length, most) => {
    const { run, told, mailbox } = runOn({})
    for (let i = 0; i < 3 * most; i++) mailbox.push(message(length))
    await settled()
    expect(told).toHaveLength(most)
    run.take({ run: 1, type: 'taken', count: 1, bytes: length })
    await settled()
    expect(told).toHaveLength(most + 1)
    run.take({ run: 1, type: 'taken', count: most, bytes: most * length })
    await settled()
    expect(told).toHaveLength(2 * most + 1)
  })

  it('is sent at once what honest parties are ahead of it', async () => {
    // Two others with their messages of round 2 for a full batch, in parts
    const flight = 32 * 47_000
    const parts = Math.ceil(flight / PART_BYTES)
    const { told, mailbox } = runOn({ link: { size: 3 }, signatures: 32 })
    for (let i = 0; i < 2 * parts; i++) mailbox.push(message(PART_BYTES))
    await settled()
    expect(told).toHaveLength(2 * parts)
  })

  it('says what it has read before it is held up', async () => {
    const said: RunMessage[] = []
    const nothing = new Uint8Array(0)
    const begin: BeginSign = {
      slot: 1,
      size: 2,
      room: nothing,
      life: new Lifeline().memory,
      timed: false,
      record: nothing,
      known: new Map(),
      batch: [{ digest: nothing, path: [] }],
    }
    const worker = new WorkerRun(1, begin, { add: (message) => void said.push(message) })
    let unsaid = { count: 0, bytes: 0 }
    for (const length of [...Array<number>(70).fill(0), ...Array<number>(9).fill(100_000)]) {
      const event = message(length)
      worker.event(event)
      await worker.receive()
      unsaid = { count: unsaid.count + 1, bytes: unsaid.bytes + bytesIn(event) }
      const last = said.pop()
      if (last !== undefined) {
        expect(last).toMatchObject({ type: 'taken', ...unsaid })
        unsaid = { count: 0, bytes: 0 }
      }
      expect(unsaid.count).toBeLessThan(at.events)
      expect(unsaid.bytes).toBeLessThan(at.bytes)
    }
  })

  it('has the last word when something breaks in the main thread, and its setup is still retired', async () => {
    const retired: unknown[] = []
    const { run, told } = runOn({
      link: {
        send: () => {
          throw new Error('a bug')
        },
      },
      setups: {
        retire: (...what) => {
          retired.push(what)
          return Promise.resolve(true)
        },
      },
    })
    let isOver = false
    const ended = run.ended.finally(() => (isOver = true))
    ended.catch(() => undefined)
    run.take({ run: 1, type: 'send', to: 2, bytes: new Uint8Array(1) })
    await settled()
    expect(told).toContainEqual({ type: 'closed', reason: 'connection_lost' })
    expect(isOver).toBe(false)
    const is = {
      name: 'retire',
      setupId: new Uint8Array(32),
      peer: 2 as never,
      code: 'ot_check_failed',
      blamed: true,
    } as const
    run.take({ run: 1, type: 'call', call: 1, is })
    await settled()
    expect(retired).toHaveLength(1)
    expect(told).toContainEqual({ type: 'answer', call: 1, value: { is: true } })
    run.take({ run: 1, type: 'failed', error: errorData(new RunFailed('connection_lost')) })
    await expect(ended).rejects.toThrow('a bug')
  })
})
