import { RoomClosed, type RoomLink } from '@vertex/mpc'
import { VaultError } from './errors.js'
import type { Caller } from './facade.js'
import { badRequest, roomBytes } from './ids.js'
import { limits } from './limits.js'
import type { Clock, RoomPort } from './ports.js'
import type { RoomQuota } from './room-quota.js'
import { fromClosed } from './run-errors.js'
import type { Run } from './runs.js'

/** The most parties a room takes. */
const ROOM_SIZE = 32

/** Where a run takes place, checked. */
export interface Place {
  readonly roomUuid: string
  /** The 16 bytes behind it. */
  readonly room: Uint8Array
  readonly relayAddress: string | undefined
  /** When the run must be over. Milliseconds since 1970. */
  readonly deadline: number
}

/** Opens rooms for callers, and joins those that requests name. */
export class RoomAccess {
  constructor(
    private readonly rooms: RoomPort,
    private readonly quota: RoomQuota,
    private readonly clock: Clock,
    private readonly runDeadlineMs: number,
    /** host:port of foreign relays that requests may name, lower case. */
    private readonly relayAllow: readonly string[],
  ) {}

  /** @throws VaultError `bad_request_params`, `room_creation_problem` (the size), `rate_limited`, `relay_unavailable`, `too_busy` */
  async create({ userId }: Caller, size: number): Promise<{ roomUuid: string }> {
    if (!Number.isInteger(size) || size < 1) throw badRequest('room_size must be at least 1')
    if (size < 2 || size > ROOM_SIZE)
      throw new VaultError('room_creation_problem', `a room takes 2 to ${ROOM_SIZE} parties`)
    const roomUuid = await this.quota.open(userId, () =>
      this.rooms.create(size).catch((cause: unknown) => {
        if (cause instanceof RoomClosed) throw fromClosed(cause)
        throw new VaultError('too_busy', 'the relay has no room now; try again', {}, { cause })
      }),
    )
    return { roomUuid }
  }

  /**
   * Several rooms at once, for signatures to come. Fewer than asked for, but one at least, when the user has many
   * already, or the relay can have no more now.
   * @throws VaultError as `create`
   */
  async createMany(
    caller: Caller,
    size: number,
    count: number,
  ): Promise<{ roomUuids: readonly string[]; expiresInMs: number }> {
    if (!Number.isInteger(count) || count < 1 || count > limits.roomsAtOnce)
      throw badRequest(`count must be 1 to ${limits.roomsAtOnce}`)
    const roomUuids = [(await this.create(caller, size)).roomUuid]
    try {
      while (roomUuids.length < count && this.quota.hasRoomAhead(caller.userId))
        roomUuids.push((await this.create(caller, size)).roomUuid)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
    }
    return { roomUuids, expiresInMs: this.quota.lifetimeMs }
  }

  /** @throws VaultError `bad_request_params` */
  place(roomUuid: string, relayAddress: string | undefined, deadline = this.newDeadline()): Place {
    const relay = relayAddress?.toLowerCase()
    if (relay !== undefined && !this.relayAllow.includes(relay))
      throw badRequest('relay_address is not on the list of this server (VERTEX_RELAY_ALLOW)')
    return {
      roomUuid: roomUuid.toLowerCase(),
      room: roomBytes(roomUuid),
      relayAddress: relay,
      deadline,
    }
  }

  newDeadline(): number {
    return this.clock.now() + this.runDeadlineMs
  }

  /** Joins as this vault's party of the key. The run leaves the room at its end. @throws RoomClosed */
  async join(run: Run, place: Place, keygenId: Uint8Array): Promise<RoomLink> {
    const { roomUuid, relayAddress, deadline } = place
    const deadlineMs = Math.max(1, deadline - this.clock.now())
    const link = await this.rooms.join(roomUuid, keygenId, {
      deadlineMs,
      ...(relayAddress !== undefined && { relayAddress }),
    })
    run.joined(link)
    // A room of two ends when this party leaves it. A larger one may be kept up by the others, so it counts on.
    if (link.size === 2) this.quota.used(roomUuid)
    return link
  }
}
