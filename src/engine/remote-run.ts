import { RoomClosed, type RoomLink } from '@vertex/mpc'
import type { MadeShare, RunSetups } from '../vault/index.js'
import { errorFrom } from './error-data.js'
import { atOnce, bytesIn, type Call, type RunMessage, type ToWorker } from './messages.js'
import { owning } from './outbox.js'

/** How a run ends well. */
type Ended = Extract<RunMessage, { readonly type: 'signed' | 'made' }>
type WithoutRun<M> = M extends unknown ? Omit<M, 'run'> : never
type Tell = (message: WithoutRun<ToWorker>, ...handedOver: Uint8Array<ArrayBuffer>[]) => void

interface Given {
  readonly link: RoomLink
  readonly setups: RunSetups
  readonly keep?: (made: MadeShare) => Promise<void>
  /** How many are made in the run; one if absent. */
  readonly signatures?: number
}

/**
 * A run that another thread computes, seen from the main thread: its room, and what it asks of the vault. Every message
 * leaves through this thread, so nothing of a run leaves once its room has been left here.
 */
export class RemoteRun {
  readonly ended: Promise<Ended>
  readonly #given: Given
  readonly #failedCalls = new Map<number, unknown>()
  readonly #atOnce: ReturnType<typeof atOnce>
  #settle!: { resolve(end: Ended): void; reject(error: unknown): void }
  #isOver = false
  /** What went wrong here; the run ends with it once its thread has ended it. */
  #broken: { readonly error: unknown } | undefined
  #tell!: Tell
  /** Events that the worker has not read yet, as far as it has said, and the bytes in them. */
  #underWay = 0
  #bytesUnderWay = 0
  #goOn: (() => void) | undefined

  constructor(given: Given) {
    this.#given = given
    this.#atOnce = atOnce(given.link.size, given.signatures ?? 1)
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  begin(tell: Tell): void {
    this.#tell = tell
    void this.#listen()
  }

  take(message: RunMessage): void {
    const { link, setups } = this.#given
    switch (message.type) {
      case 'send':
        this.#send(message.to, message.bytes)
        return
      case 'taken':
        this.#underWay -= message.count
        this.#bytesUnderWay -= message.bytes
        this.#goOn?.()
        return
      case 'leave':
        link.leave()
        return
      case 'unreadable':
        setups.unreadable(message.peer)
        return
      case 'call':
        void this.#answer(message.call, message.is)
        return
      case 'failed':
        this.fail(this.#broken ? this.#broken.error : errorFrom(message.error, this.#failedCalls))
        return
      case 'signed':
      case 'made':
        this.#end()
        this.#settle.resolve(message)
    }
  }

  /** Ends it without its thread. */
  fail(error: unknown): void {
    this.#end()
    this.#settle.reject(error)
  }

  /**
   * Ends it for a reason of this thread. The worker has secrets to overwrite, and perhaps a setup to retire, so it is
   * told that the room is gone, and has the last word.
   */
  #breakOff(error: unknown): void {
    this.#broken ??= { error }
    this.#given.link.leave()
    this.#tell({ type: 'closed', reason: 'connection_lost' })
  }

  #end(): void {
    this.#isOver = true
    this.#given.link.leave()
    this.#goOn?.()
  }

  #send(to: number, bytes: Uint8Array): void {
    try {
      this.#given.link.send(to, bytes)
    } catch (error) {
      // Why the room ended is heard where it is listened to.
      if (!(error instanceof RoomClosed)) this.#breakOff(error)
    }
  }

  /** Tells the worker what happens in the room, until it has ended. */
  async #listen(): Promise<void> {
    const { link } = this.#given
    try {
      while (!this.#isOver) {
        const event = await link.receive()
        this.#underWay++
        this.#bytesUnderWay += bytesIn(event)
        if (event.type === 'peer') this.#tell({ type: 'event', event })
        else {
          const bytes = owning(event.bytes)
          this.#tell({ type: 'event', event: { ...event, bytes } }, bytes)
        }
        if (this.#isFull()) await this.#pause()
      }
    } catch (error) {
      if (this.#isOver) return
      if (error instanceof RoomClosed) this.#tell({ type: 'closed', reason: error.reason })
      else this.#breakOff(error)
    }
  }

  #isFull(): boolean {
    const { events, bytes } = this.#atOnce
    return this.#underWay >= 2 * events || this.#bytesUnderWay >= 2 * bytes
  }

  /** Until the worker has read some: what a room may hold for a party is limited, and this is no way around it. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#goOn = () => {
        if (!this.#isOver && this.#isFull()) return
        this.#goOn = undefined
        resolve()
      }
    })
  }

  async #answer(call: number, is: Call): Promise<void> {
    try {
      const value = { is: await this.#do(is) }
      if (!this.#isOver) this.#tell({ type: 'answer', call, value })
    } catch (error) {
      this.#failedCalls.set(call, error)
      if (!this.#isOver) this.#tell({ type: 'answer', call })
    }
  }

  async #do(call: Call): Promise<unknown> {
    const { setups, keep } = this.#given
    switch (call.name) {
      case 'keep':
        return keep?.(call.made)
      case 'save':
        return setups.save(call.peer, call)
      case 'retire':
        return setups.retire(call.setupId, call.peer, call.code, call.blamed)
    }
  }
}
