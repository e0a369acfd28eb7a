import { bytesToHex, hexToBytes } from '../bytes.js'
import { ROOM_ID_BYTES } from './frames.js'

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The 8-4-4-4-12 form of a room's 16 bytes, as `room_uuid` carries it. All 128 bits are random. */
export function roomUuid(room: Uint8Array): string {
  if (room.length !== ROOM_ID_BYTES) throw new RangeError('a room id has 16 bytes')
  const hex = bytesToHex(room)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}

/** The 16 bytes behind a `room_uuid`. @throws RangeError for anything but the 8-4-4-4-12 form */
export function parseRoomUuid(text: string): Uint8Array {
  if (!form.test(text)) throw new RangeError('a room_uuid has the form 8-4-4-4-12 in hex')
  return hexToBytes(text.replaceAll('-', '').toLowerCase())
}
