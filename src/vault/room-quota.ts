import { VaultError } from './errors.js'
import { limits } from './limits.js'
import type { Clock } from './ports.js'

/** Counts the rooms of each user that wait to be used, so that one user cannot hold the whole relay. */
export class RoomQuota {
  readonly #counts = new Map<string, number>()
  /** Oldest first. */
  readonly #rooms = new Map<string, { readonly userId: string; readonly until: number }>()

  constructor(
    private readonly clock: Clock,
    /** How long a room lives. Milliseconds. */
    readonly lifetimeMs: number,
  ) {}

  /** Whether this user may have rooms for later as well. */
  hasRoomAhead(userId: string): boolean {
    this.#forgetExpired()
    return (this.#counts.get(userId) ?? 0) < limits.roomsAheadPerUser
  }

  /**
   * Opens a room of this user.
   * @throws VaultError `rate_limited`, and whatever `create` throws
   */
  async open(userId: string, create: () => Promise<string>): Promise<string> {
    this.#forgetExpired()
    const count = this.#counts.get(userId) ?? 0
    if (count >= limits.roomsPerUser)
      throw new VaultError(
        'rate_limited',
        `at most ${limits.roomsPerUser} rooms of one user wait to be used; try again`,
      )
    this.#counts.set(userId, count + 1)
    try {
      const roomUuid = await create()
      this.#rooms.set(roomUuid, { userId, until: this.clock.now() + this.lifetimeMs })
      return roomUuid
    } catch (e) {
      this.#drop(userId)
      throw e
    }
  }

  /** From now on a run answers for the room. */
  used(roomUuid: string): void {
    const room = this.#rooms.get(roomUuid)
    if (room === undefined) return
    this.#rooms.delete(roomUuid)
    this.#drop(room.userId)
  }

  #forgetExpired(): void {
    const now = this.clock.now()
    for (const [roomUuid, { until }] of this.#rooms) {
      if (until > now) return
      this.used(roomUuid)
    }
  }

  #drop(userId: string): void {
    const left = this.#counts.get(userId)! - 1
    if (left > 0) this.#counts.set(userId, left)
    else this.#counts.delete(userId)
  }
}
