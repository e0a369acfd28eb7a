import { Mailbox, RoomClosed, type RoomEvent, type RoomLink } from '@vertex/mpc'
import { Lifeline, type Engine, type RoundTime, type RunSetups } from '../vault/index.js'
import { CallFailed, errorData } from './error-data.js'
import {
  atOnce,
  bytesIn,
  type BeginKeygen,
  type BeginSign,
  type Call,
  type RunMessage,
  type ToWorker,
} from './messages.js'
import { owning, owningSecret, type Outbox } from './outbox.js'

type Answer = Extract<ToWorker, { readonly type: 'answer' }>

/** A run in the thread that computes it; its room and its setups are in the main thread. */
export class WorkerRun implements RoomLink {
  readonly slot: number
  readonly size: number
  readonly #run: number
  readonly #outbox: Pick<Outbox<RunMessage>, 'add'>
  readonly #life: Lifeline
  readonly #mailbox = new Mailbox()
  readonly #calls = new Map<number, (answer: Answer) => void>()
  readonly #atOnce: ReturnType<typeof atOnce>
  #lastCall = 0
  #taken = { count: 0, bytes: 0 }

  constructor(
    run: number,
    begin: BeginSign | BeginKeygen,
    outbox: Pick<Outbox<RunMessage>, 'add'>,
  ) {
    this.#run = run
    this.#outbox = outbox
    this.slot = begin.slot
    this.size = begin.size
    this.#atOnce = atOnce(begin.size, 'batch' in begin ? begin.batch.length : 1)
    this.#life = new Lifeline(begin.life)
  }

  async sign(engine: Engine, { room, record, known, batch, timed }: BeginSign): Promise<void> {
    const run = this.#run
    try {
      const setups = this.#setups(known)
      const { rounds, measured } = timing(timed)
      const signatures = await engine.sign({ link: this, room, record, batch, setups, measured })
      this.#outbox.add({ type: 'signed', run, signatures, rounds })
    } catch (error) {
      this.#fail(error)
    }
  }

  async keygen(engine: Engine, begin: BeginKeygen): Promise<void> {
    const { room, quorum, identity, keygenIds } = begin
    const { rounds, measured } = timing(begin.timed)
    try {
      const key = await engine.keygen({
        link: this,
        room,
        quorum,
        identity,
        keygenIds,
        keep: async (made) => {
          const record = owningSecret(made.record)
          await this.#call({ name: 'keep', made: { ...made, record } }, record)
        },
        setups: this.#setups(new Map()),
        measured,
      })
      this.#outbox.add({ type: 'made', run: this.#run, key, rounds })
    } catch (error) {
      this.#fail(error)
    } finally {
      identity.secret.fill(0)
    }
  }

  event(event: RoomEvent): void {
    this.#mailbox.push(event)
  }

  closed(reason: RoomClosed['reason']): void {
    this.#mailbox.end(reason)
  }

  answer(answer: Answer): void {
    this.#calls.get(answer.call)?.(answer)
    this.#calls.delete(answer.call)
  }

  send(to: number, bytes: Uint8Array): void {
    const { ended } = this.#mailbox
    if (ended !== undefined) throw new RoomClosed(ended)
    const sent = owning(bytes)
    this.#outbox.add({ type: 'send', run: this.#run, to, bytes: sent }, sent)
  }

  async receive(): Promise<RoomEvent> {
    const event = await this.#mailbox.receive()
    const taken = this.#taken
    taken.count++
    taken.bytes += bytesIn(event)
    if (taken.count >= this.#atOnce.events || taken.bytes >= this.#atOnce.bytes) {
      this.#outbox.add({ type: 'taken', run: this.#run, ...taken })
      this.#taken = { count: 0, bytes: 0 }
    }
    return event
  }

  leave(): void {
    if (this.#mailbox.ended === undefined) this.#outbox.add({ type: 'leave', run: this.#run })
    this.#mailbox.end('left')
    this.#mailbox.drop()
  }

  #fail(error: unknown): void {
    this.#outbox.add({ type: 'failed', run: this.#run, error: errorData(error) })
  }

  #setups(known: BeginSign['known']): RunSetups {
    return {
      known,
      life: this.#life,
      save: async (peer, { setupId, record }) => {
        const owned = owningSecret(record)
        await this.#call({ name: 'save', peer, setupId, record: owned }, owned)
      },
      retire: async (setupId, peer, code, blamed) =>
        (await this.#call({ name: 'retire', setupId, peer, code, blamed })) === true,
      unreadable: (peer) => {
        this.#outbox.add({ type: 'unreadable', run: this.#run, peer })
      },
    }
  }

  #call(is: Call, ...handedOver: Uint8Array<ArrayBuffer>[]): Promise<unknown> {
    const call = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#calls.set(call, ({ value }) => {
        if (value === undefined) reject(new CallFailed(call))
        else resolve(value.is)
      })
      this.#outbox.add({ type: 'call', run: this.#run, call, is }, ...handedOver)
    })
  }
}

function timing(wanted: boolean) {
  const rounds: RoundTime[] = []
  const measured = (times: readonly RoundTime[]) => {
    rounds.push(...times)
  }
  return { rounds, measured: wanted ? measured : undefined }
}
