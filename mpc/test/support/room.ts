import { randomBytes } from 'node:crypto'
import {
  Mailbox,
  RoomClosed,
  runSign,
  runSignBatch,
  type AbortCode,
  type PairSetup,
  type PartyIndex,
  type RoomCloseReason,
  type RoomEvent,
  type RoomLink,
  type SetupCache,
  type Signature,
  type SignBatchRun,
  type SignRun,
  type Suite,
} from '@vertex/mpc'
import type { Key } from './parties.js'

/** One message as it passed the relay. */
export interface Passed {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/** What a relay makes of an event on its way to a slot: nothing, the event, or anything else it likes. */
export type Relaying = (event: RoomEvent, to: number) => readonly RoomEvent[]

const honest: Relaying = (event) => [event]

/** A room in memory whose relay may cheat. It records what the parties sent. */
export class MemoryRoom {
  readonly id = randomBytes(16)
  readonly passed: Passed[] = []
  readonly #labels: Uint8Array[] = []
  readonly #boxes: Mailbox[] = []

  constructor(
    readonly size: number,
    public relaying: Relaying = honest,
  ) {}

  join(label: Uint8Array, size = this.size): RoomLink {
    const box = new Mailbox()
    this.#boxes.push(box)
    const slot = this.#labels.push(label)
    this.#labels.forEach((other, at) => {
      if (at + 1 === slot) return
      this.deliver({ type: 'peer', slot: at + 1, label: other }, slot)
      this.deliver({ type: 'peer', slot, label }, at + 1)
    })
    return {
      slot,
      size,
      send: (to, bytes) => {
        if (box.ended !== undefined) throw new RoomClosed(box.ended)
        this.passed.push({ from: slot, to, bytes: bytes.slice() })
        this.deliver({ type: 'message', from: slot, bytes }, to)
      },
      receive: () => box.receive(),
      leave: () => {
        box.end('left')
      },
    }
  }

  /** Delivers what the relay makes of an event. */
  deliver(event: RoomEvent, to: number): void {
    for (const made of this.relaying(event, to)) this.inject(made, to)
  }

  /** Puts an event before a party, whatever the relay thinks of it. */
  inject(event: RoomEvent, to: number): void {
    this.#boxes[to - 1]?.push(event)
  }

  /** Ends the room for all who are still in it, or for one. */
  end(reason: RoomCloseReason, slot?: number): void {
    this.#boxes.forEach((box, at) => {
      if (slot === undefined || slot === at + 1) box.end(reason)
    })
  }
}

/** A setup cache in memory that remembers what became of its setups. */
export class MemorySetups implements SetupCache {
  readonly saved = new Map<PartyIndex, PairSetup>()
  readonly retired: { id: string; peer: PartyIndex; code: AbortCode; blamed: boolean }[] = []
  readonly loads: PartyIndex[] = []
  readonly asked: string[] = []
  saves = 0

  constructor(setups: ReadonlyMap<PartyIndex, PairSetup> = new Map()) {
    for (const [peer, setup] of setups) this.saved.set(peer, setup)
  }

  load(peer: PartyIndex): Promise<PairSetup | undefined> {
    this.loads.push(peer)
    const setup = this.saved.get(peer)
    return Promise.resolve(setup !== undefined && this.#isDead(setup.id) ? undefined : setup)
  }

  save(peer: PartyIndex, setup: PairSetup): Promise<void> {
    this.saves++
    this.saved.set(peer, setup)
    return Promise.resolve()
  }

  retire(id: Uint8Array, peer: PartyIndex, code: AbortCode, blamed: boolean): Promise<boolean> {
    if (this.#isDead(id)) return Promise.resolve(false)
    this.retired.push({ id: hex(id), peer, code, blamed })
    return Promise.resolve(true)
  }

  alive(id: Uint8Array): boolean {
    this.asked.push(hex(id))
    return !this.#isDead(id)
  }

  #isDead(id: Uint8Array): boolean {
    return this.retired.some((dead) => dead.id === hex(id))
  }
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** How one party signs; what is left out comes from the key. */
export interface Signer {
  readonly index: number
  readonly setups?: MemorySetups
  readonly change?: (run: SignRun) => SignRun
  /** The size of the room as the relay tells it to this party. */
  readonly size?: number
}

/** Lets parties of a key sign in a room; each one's outcome in the order given. */
export function signIn(
  room: MemoryRoom,
  key: Key,
  signers: readonly Signer[],
  digest: Uint8Array = randomBytes(32),
): Promise<PromiseSettledResult<Signature>[]> {
  return Promise.allSettled(
    signers.map(({ index, setups, change, size }) => {
      const share = key.shares[index - 1]!
      const run: SignRun = {
        suite: key.suites[Math.min(index, key.suites.length) - 1] as Suite,
        link: room.join(share.keygenIds[index - 1]!, size),
        room: room.id,
        setups: setups ?? new MemorySetups(key.setups.get(share.index)),
        share,
        digest,
        path: [],
      }
      return runSign(change?.(run) ?? run)
    }),
  )
}

/** As {@link signIn}, for a batch. */
export function signBatchIn(
  room: MemoryRoom,
  key: Key,
  signers: readonly BatchSigner[],
  batch: SignBatchRun['batch'],
): Promise<PromiseSettledResult<Signature[]>[]> {
  return Promise.allSettled(
    signers.map(({ index, setups, change }) => {
      const share = key.shares[index - 1]!
      const run: SignBatchRun = {
        suite: key.suites[Math.min(index, key.suites.length) - 1] as Suite,
        link: room.join(share.keygenIds[index - 1]!),
        room: room.id,
        setups: setups ?? new MemorySetups(key.setups.get(share.index)),
        share,
        batch,
      }
      return runSignBatch(change?.(run) ?? run)
    }),
  )
}

/** How one party signs a batch. */
export interface BatchSigner {
  readonly index: number
  readonly setups?: MemorySetups
  readonly change?: (run: SignBatchRun) => SignBatchRun
}

/** The errors of a run that nobody finished. */
export function errorsOf(outcomes: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return outcomes.map((outcome) => {
    if (outcome.status === 'fulfilled') throw new Error('a party finished')
    return outcome.reason as unknown
  })
}

/** The results of a run that everybody finished. */
export function resultsOf<T>(outcomes: readonly PromiseSettledResult<T>[]): T[] {
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
