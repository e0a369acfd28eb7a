import type { RoomLink } from '@vertex/mpc'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { VaultError } from '../../src/vault/errors.js'
import { limits } from '../../src/vault/limits.js'
import { Runs, type Run } from '../../src/vault/runs.js'

/** A piece of work that ends when it is told to. */
function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, opened }
}

const link = (onLeave: () => void): RoomLink => ({
  slot: 1,
  size: 2,
  send: () => undefined,
  receive: () => new Promise(() => undefined),
  leave: onLeave,
})

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the runs of a process', () => {
  it('work on one share four at a time, the others in the order they came', async () => {
    const runs = new Runs()
    const gates = Array.from({ length: 6 }, gate)
    const started: number[] = []
    const all = gates.map(({ opened }, i) =>
      runs.within('user', 'share', async () => {
        started.push(i)
        await opened
      }),
    )
    await settled()
    expect(started).toEqual([0, 1, 2, 3])
    gates[2]!.open()
    await settled()
    expect(started).toEqual([0, 1, 2, 3, 4])
    for (const { open } of gates) open()
    await Promise.all(all)
    expect(started).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('do not make runs on other shares wait', async () => {
    const runs = new Runs()
    const { open, opened } = gate()
    const busy = Array.from({ length: 6 }, () => runs.within('user', 'one', () => opened))
    await expect(runs.within('user', 'another', () => Promise.resolve('done'))).resolves.toBe(
      'done',
    )
    open()
    await Promise.all(busy)
  })

  it('are refused when too many wait for one share', async () => {
    const runs = new Runs()
    const { open, opened } = gate()
    const room = limits.runsPerShare + limits.waitingPerShare
    const taken = Array.from({ length: room }, () => runs.within('user', 'share', () => opened))
    await expect(runs.within('user', 'share', () => opened)).rejects.toMatchObject({
      errType: 'rate_limited',
    })
    open()
    await Promise.all(taken)
    await expect(runs.within('user', 'share', () => Promise.resolve(1))).resolves.toBe(1)
  })

  it('are refused when the process is full, whatever their share', async () => {
    const runs = new Runs()
    const { open, opened } = gate()
    const taken = Array.from({ length: limits.runs }, (_, i) =>
      runs.within(`user ${i % 8}`, `share ${i}`, () => opened),
    )
    await expect(runs.within('one more', 'one more', () => opened)).rejects.toMatchObject({
      errType: 'too_busy',
    })
    open()
    await Promise.all(taken)
  })

  it('of one user leave places for those of others', async () => {
    const runs = new Runs()
    const { open, opened } = gate()
    const work = () => opened
    const taken = Array.from({ length: limits.runsPerUser }, (_, i) =>
      runs.within('mallory', `key ${i % 8}`, work),
    )
    await expect(runs.within('mallory', 'another key', work)).rejects.toMatchObject({
      errType: 'rate_limited',
      details: { retry_after: 1 },
    })
    await expect(runs.within('alice', 'a key', () => Promise.resolve(1))).resolves.toBe(1)
    open()
    await Promise.all(taken)
    await expect(runs.within('mallory', 'key 0', () => Promise.resolve(2))).resolves.toBe(2)
  })

  it('count as several when they are large, for their user and the process, and as one on their share', async () => {
    const runs = new Runs(100)
    const { open, opened } = gate()
    const work = () => opened
    const taken = Array.from({ length: 15 }, (_, i) => runs.within('mallory', `key ${i}`, work, 4))
    await expect(runs.within('mallory', 'key', work, 5)).rejects.toMatchObject({
      errType: 'rate_limited',
    })
    taken.push(runs.within('mallory', 'key 0', work, 4))
    taken.push(runs.within('alice', 'key 0', work, 36))
    await expect(runs.within('bob', 'key', work)).rejects.toMatchObject({ errType: 'too_busy' })
    let begun = false
    open()
    await Promise.all(taken)
    const whole = runs.within('mallory', 'key', () => Promise.resolve((begun = true)), 64)
    await expect(whole).resolves.toBe(true)
    expect(begun).toBe(true)
  })

  it('leave their room when they are killed, and answer the reason instead of their result', async () => {
    const runs = new Runs()
    const reason = new VaultError('session_mismatch', 'killed')
    const { open, opened } = gate()
    let left = 0
    const run = runs.within('user', 'share', async (r) => {
      r.joined(link(() => left++))
      await opened
      return 'a signature'
    })
    const other = runs.within('user', 'another', () => Promise.resolve('fine'))
    await settled()
    runs.killAll('share', reason)
    expect(left).toBe(1)
    open()
    await expect(run).rejects.toBe(reason)
    await expect(other).resolves.toBe('fine')
  })

  it('that are killed before they joined leave the room at once', async () => {
    const runs = new Runs()
    const reason = new VaultError('session_mismatch', 'killed')
    let left = 0
    const run = runs.within('user', 'share', async (r: Run) => {
      await settled()
      r.joined(link(() => left++))
    })
    await Promise.resolve()
    runs.killAll('share', reason)
    await expect(run).rejects.toBe(reason)
    expect(left).toBeGreaterThan(0)
  })

  describe('with the clock stopped', () => {
    beforeEach(() => vi.useFakeTimers())
    afterEach(() => vi.useRealTimers())

    it('give up when the share does not become free in time', async () => {
      const runs = new Runs()
      const { open, opened } = gate()
      const taken = Array.from({ length: limits.runsPerShare }, () =>
        runs.within('user', 'share', () => opened),
      )
      const late = expect(runs.within('user', 'share', () => opened)).rejects.toMatchObject({
        errType: 'rate_limited',
      })
      await vi.advanceTimersByTimeAsync(limits.waitMs)
      await late
      open()
      await Promise.all(taken)
    })

    it('may finish after the process was asked to stop, and are cut off when the time is over', async () => {
      const runs = new Runs()
      const quick = gate()
      const stuck = gate()
      const finishes = runs.within('user', 'one', async () => {
        await quick.opened
        return 'signed'
      })
      const hangs = expect(
        runs.within('user', 'another', async (run) => {
          run.joined(link(stuck.open))
          await stuck.opened
        }),
      ).rejects.toMatchObject({ errType: 'too_busy' })
      const closed = runs.close()
      await expect(runs.within('user', 'third', () => Promise.resolve())).rejects.toMatchObject({
        errType: 'too_busy',
      })
      quick.open()
      await expect(finishes).resolves.toBe('signed')
      await vi.advanceTimersByTimeAsync(limits.drainMs)
      await hangs
      await closed
    })

    it('that wait for a share are refused when the process is asked to stop', async () => {
      const runs = new Runs()
      const { open, opened } = gate()
      const taken = Array.from({ length: limits.runsPerShare }, () =>
        runs.within('user', 'share', () => opened),
      )
      const waiting = expect(runs.within('user', 'share', () => opened)).rejects.toMatchObject({
        errType: 'too_busy',
      })
      const closed = runs.close()
      await waiting
      open()
      await Promise.all([...taken, closed])
    })
  })
})
