import type { Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Entrance } from './entrance.js'
import { Gate } from './gate.js'
import type { RelayLimits } from './limits.js'

/** The WebSocket entrances of one set of rooms. */
export class Gates {
  readonly #gates: Gate[] = []

  constructor(
    private readonly rooms: Entrance,
    private readonly limits: RelayLimits,
  ) {}

  /** WebSockets that are open, and bytes that wait for them to be read. */
  get usage(): { sockets: number; unreadBytes: number } {
    return {
      sockets: this.#gates.reduce((sum, gate) => sum + gate.sockets, 0),
      unreadBytes: this.#gates.reduce((sum, gate) => sum + gate.unreadBytes, 0),
    }
  }

  attach(server: Server | SecureServer): void {
    this.#gates.push(new Gate(server, this.rooms, this.limits))
  }

  async close(): Promise<void> {
    await Promise.all(this.#gates.map((gate) => gate.close()))
  }
}
