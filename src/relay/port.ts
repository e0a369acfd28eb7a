import type { RoomPort } from '../vault/ports.js'
import { joinRemote } from './remote.js'
import type { Rooms } from './rooms.js'

/** The rooms as the vault wants them: its own, or another relay's where an address is given. */
export function roomPort(rooms: Rooms): RoomPort {
  return {
    create: (size) => Promise.resolve().then(() => rooms.create(size).roomUuid),
    join: async (roomUuid, label, { relayAddress, deadlineMs }) =>
      relayAddress === undefined
        ? rooms.join(roomUuid, label, deadlineMs)
        : joinRemote(relayAddress, roomUuid, label, deadlineMs),
  }
}
