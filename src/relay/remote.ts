import { MAX_FRAME_BYTES, parseRoomUuid, RelayConnection, RoomClosed } from '@vertex/mpc'
import type { FrameSocket, RoomLink } from '@vertex/mpc'
import { WebSocket } from 'ws'
import { RELAY_PATH } from './gate.js'

const form = /^([\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i
const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * The URL behind the address of a relay, `host:port`. TLS everywhere but on loopback.
 * @throws RangeError for anything else
 */
export function relayUrl(address: string): string {
  const host = form.exec(address)?.[1]?.toLowerCase()
  const url = `${loopback.has(host ?? '') ? 'ws' : 'wss'}://${address}${RELAY_PATH}`
  if (host === undefined || !URL.canParse(url))
    throw new RangeError('a relay address has the form host:port')
  return url
}

/**
 * Joins a room of another relay over a WebSocket of its own, which closes when the link is left.
 * @param deadlineMs how long from now the link lives, connecting included
 * @param tls further certificate authorities, where the relay's is not a public one
 * @throws RoomClosed with the relay's reason, `connection_lost` when it cannot be reached
 * @throws RangeError for an address or a room_uuid of the wrong form
 */
export async function joinRemote(
  relayAddress: string,
  roomUuid: string,
  label: Uint8Array,
  deadlineMs: number,
  tls: { readonly ca?: string } = {},
): Promise<RoomLink> {
  const url = relayUrl(relayAddress)
  const room = parseRoomUuid(roomUuid)
  const until = performance.now() + deadlineMs
  const ws = await open(url, deadlineMs, tls)
  const connection = new RelayConnection(frameSocket(ws))
  try {
    const link = await connection.join(room, label, (expire) => {
      const timer = setTimeout(expire, Math.max(0, until - performance.now()))
      return () => {
        clearTimeout(timer)
      }
    })
    return {
      slot: link.slot,
      size: link.size,
      send: (to, bytes) => {
        link.send(to, bytes)
      },
      receive: () => link.receive(),
      leave: () => {
        link.leave()
        connection.close()
      },
    }
  } catch (error) {
    connection.close()
    throw error
  }
}

function open(url: string, patienceMs: number, tls: { readonly ca?: string }): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url, {
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: MAX_FRAME_BYTES,
      ...tls,
    })
    const timer = setTimeout(() => {
      reject(new RoomClosed('room_timeout'))
      ws.terminate()
    }, patienceMs)
    ws.on('error', () => undefined) // 'close' follows
    ws.once('close', () => {
      clearTimeout(timer)
      reject(new RoomClosed('connection_lost'))
    })
    ws.once('open', () => {
      clearTimeout(timer)
      resolve(ws)
    })
  })
}

/** A connected WebSocket as the room code wants it. */
export function frameSocket(ws: WebSocket): FrameSocket {
  return {
    send(frame) {
      if (ws.readyState === ws.OPEN) ws.send(frame)
    },
    close() {
      ws.close()
    },
    onFrame(handler) {
      ws.on('message', (data, isBinary) => {
        // An empty frame stands for what is none: the connection will not understand it, and close.
        handler(isBinary && data instanceof Uint8Array ? data : new Uint8Array(0))
      })
    },
    onClose(handler) {
      ws.on('close', handler)
      if (ws.readyState === ws.CLOSED) handler()
    },
  }
}
