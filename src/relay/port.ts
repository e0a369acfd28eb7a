import type { RoomPort } from '../vault/ports.js'
import { joinRemote } from './remote.js'
import type { Rooms } from './rooms.js'
import type { SharedRooms } from './shared/shared-rooms.js'

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

/** The same of rooms that replicas share. */
export function sharedRoomPort(rooms: SharedRooms): RoomPort {
  return {
    ready: () => rooms.ready,
    onUsed: (listener) => {
      rooms.onUsed(listener)
    },
    create: (size) => rooms.create(size),
    join: (roomUuid, label, { relayAddress, deadlineMs }) =>
      relayAddress === undefined
        ? rooms.join(roomUuid, label, deadlineMs)
        : joinRemote(relayAddress, roomUuid, label, deadlineMs),
  }
}
