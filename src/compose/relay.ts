import type { Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Logger } from 'pino'
import { isLoopback, type Config } from '../config.js'
import { Redis } from '../redis/index.js'
import { roomPort, Rooms, roomScripts, SharedRooms, sharedRoomPort } from '../relay/index.js'
import { managedIdentity } from '../seal/index.js'
import type { RoomPort } from '../vault/ports.js'
import type { TakeNote } from './notes.js'

/** The rooms of this server, in its memory or shared with other replicas. */
export interface Relay {
  readonly port: RoomPort
  readonly usage: Rooms['usage']
  /** What replicas share; undefined where there is one server. It is connected from `begin` to `close`. */
  readonly redis: Redis | undefined
  attach(server: Server | SecureServer): void
  begin(): Promise<void>
  close(graceMs: number): Promise<void>
}

/** @throws RedisRefused */
export function composeRelay(config: Config, logger: Logger, note: TakeNote): Relay {
  const limits = { roomLifetimeMs: config.roomLifetimeMs }
  if (config.redis === undefined) {
    const rooms = new Rooms(limits)
    return {
      port: roomPort(rooms),
      get usage() {
        return rooms.usage
      },
      redis: undefined,
      attach: (server) => {
        rooms.attach(server)
      },
      begin: () => Promise.resolve(),
      close: (graceMs) => rooms.close(graceMs),
    }
  }
  const { url, clientId } = config.redis
  const redis = new Redis({
    url,
    tokenFor: managedIdentity(clientId),
    scripts: roomScripts,
    log: (event) => {
      logger[event.event === 'redis_connected' ? 'info' : 'warn'](event)
    },
  })
  const rooms = new SharedRooms(redis, limits)
  note('info', 'rooms are shared with other replicas through Redis')
  if (showsPassword(url)) note('warn', 'the password in REDIS_URL travels in clear; use rediss://')
  return {
    port: sharedRoomPort(rooms),
    get usage() {
      return rooms.usage
    },
    redis,
    attach: (server) => {
      rooms.attach(server)
    },
    begin: () => redis.start(),
    close: async (graceMs) => {
      await rooms.close(graceMs)
      await redis.close()
    },
  }
}

/** Whether whoever listens on the network can read the password. */
function showsPassword(url: string): boolean {
  const { protocol, hostname, password } = new URL(url)
  const host = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return protocol === 'redis:' && password !== '' && !isLoopback(host)
}
