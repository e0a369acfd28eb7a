import type { Answers } from './answers.js'
import { Deadline } from './deadline.js'
import { RequestError, UnavailableError } from './errors.js'

/** So many rooms are asked for at once: as many as were used lately, within these bounds. */
const FEWEST = 4
const MOST = 16
/** A room is joined within this part of its life, so that the run in it has the rest. */
const YOUNG = 0.5
/** How long an answer with rooms for later is waited for. */
const PATIENCE_MS = 10_000

/** A room that this client may join. */
export interface PooledRoom {
  readonly roomUuid: string
  /** It was opened for this very operation. Any other may be gone by now, with the server that opened it. */
  readonly isFresh: boolean
}

interface OpenedRoom {
  readonly roomUuid: string
  /** Until then it may be joined. */
  readonly until: number
}

interface Shelf {
  readonly rooms: OpenedRoom[]
  /** When rooms were taken lately. */
  readonly taken: number[]
  isFilling: boolean
}

/**
 * A few rooms opened ahead, so that a signature need not wait for one. Asks for more only when one is taken, so an idle
 * client asks for nothing, and what it has left expires by itself. A room is handed out once.
 */
export class RoomPool {
  readonly #answers: Answers
  readonly #now: () => number
  readonly #shelves = new Map<number, Shelf>()
  readonly #closing = new AbortController()
  /** Whether the server opens several at once; one from before that refuses `count`. */
  #several = true
  #lifetimeMs = 0

  /** @param now milliseconds from a clock that never goes back */
  constructor(answers: Answers, now: () => number = () => performance.now()) {
    this.#answers = answers
    this.#now = now
  }

  /** Takes a room for `size` parties, one opened ahead if there is any. @throws VertexError */
  async take(size: number, signal: AbortSignal): Promise<PooledRoom> {
    const shelf = this.#shelf(size)
    const now = this.#now()
    shelf.taken.push(now)
    const roomUuid = this.#next(shelf, now)
    if (roomUuid !== undefined) {
      if (shelf.rooms.length <= this.#wanted(shelf) / 4) this.#refill(size, shelf)
      return { roomUuid, isFresh: false }
    }
    // Where rooms for later are on their way already, this one comes alone.
    if (shelf.isFilling) return { roomUuid: await this.#openOne(size, signal), isFresh: true }
    const { roomUuid: fresh } = await this.#fill(size, shelf, signal)
    return { roomUuid: fresh, isFresh: true }
  }

  /** Opens a room for this operation alone. @throws VertexError */
  open(size: number, signal: AbortSignal): Promise<string> {
    return this.#openOne(size, signal)
  }

  /** Forgets the rooms opened ahead: the server that had them is gone, or another one answers. */
  forget(): void {
    this.#shelves.clear()
    this.#several = true
  }

  /** Forgets all rooms, and asks for no more ahead. */
  close(): void {
    this.#closing.abort()
    this.#shelves.clear()
  }

  #shelf(size: number): Shelf {
    let shelf = this.#shelves.get(size)
    if (shelf === undefined)
      this.#shelves.set(size, (shelf = { rooms: [], taken: [], isFilling: false }))
    return shelf
  }

  #next(shelf: Shelf, now: number): string | undefined {
    for (;;) {
      const room = shelf.rooms.shift()
      if (room === undefined || room.until > now) return room?.roomUuid
    }
  }

  #wanted(shelf: Shelf): number {
    const since = this.#now() - this.#lifetimeMs * YOUNG
    while (shelf.taken.length > MOST || (shelf.taken[0] ?? since) < since) shelf.taken.shift()
    return Math.max(FEWEST, shelf.taken.length)
  }

  #refill(size: number, shelf: Shelf): void {
    if (shelf.isFilling || this.#closing.signal.aborted) return
    const deadline = new Deadline(PATIENCE_MS, this.#closing.signal)
    this.#fill(size, shelf, deadline.signal)
      .then((room) => void shelf.rooms.push(room))
      // Whatever is the matter, the next signature finds it out by itself.
      .catch(() => undefined)
      .finally(() => deadline.clear())
  }

  /** Opens as many rooms as are wanted. @returns one that is not on the shelf */
  async #fill(size: number, shelf: Shelf, signal: AbortSignal): Promise<OpenedRoom> {
    shelf.isFilling = true
    try {
      const [first, ...further] = await this.#open(size, this.#wanted(shelf), signal)
      shelf.rooms.push(...further)
      return first!
    } finally {
      shelf.isFilling = false
    }
  }

  async #open(size: number, count: number, signal: AbortSignal): Promise<OpenedRoom[]> {
    if (this.#several) {
      const asked = this.#now()
      try {
        const { roomUuids, expiresInMs } = await this.#answers.createRooms(size, count, { signal })
        this.#lifetimeMs = expiresInMs
        return roomUuids.map((roomUuid) => ({ roomUuid, until: asked + expiresInMs * YOUNG }))
      } catch (error) {
        if (error instanceof RequestError && error.errType === 'bad_request_params')
          this.#several = false
        else if (!isCut(error)) throw error
      }
    }
    return [{ roomUuid: await this.#openOne(size, signal), until: 0 }]
  }

  /** A connection that broke while idle is tried once more, since an unused room does no harm. */
  async #openOne(size: number, signal: AbortSignal): Promise<string> {
    try {
      return await this.#answers.createRoom(size, { signal })
    } catch (error) {
      if (!isCut(error)) throw error
      return this.#answers.createRoom(size, { signal })
    }
  }
}

const isCut = (error: unknown): boolean =>
  error instanceof UnavailableError && error.errType === 'connection_failed'
