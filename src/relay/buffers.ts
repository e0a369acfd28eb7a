import type { Meter } from './room.js'
import type { RelayLimits } from './limits.js'

/** The count of one room. */
export interface RoomMeter extends Meter {
  /** Bytes that wait in the room. */
  readonly held: number
}

/** Counts what waits, under the limit of each room and of all of them. */
export class Buffers {
  #bytes = 0

  /** @param endFullest ends the room in which most waits, if that is more than so many bytes */
  constructor(
    private readonly limits: Pick<RelayLimits, 'roomBufferBytes' | 'bufferBytes'>,
    private readonly endFullest: (more: number) => void,
  ) {}

  get bytes(): number {
    return this.#bytes
  }

  /** One for each room. */
  meter(): RoomMeter {
    let held = 0
    const { roomBufferBytes, bufferBytes } = this.limits
    const fits = (bytes: number) => this.#bytes + bytes <= bufferBytes
    return {
      get held() {
        return held
      },
      take: (bytes) => {
        if (held + bytes > roomBufferBytes) return false
        if (!fits(bytes)) this.endFullest(held + bytes)
        if (!fits(bytes)) return false
        held += bytes
        this.#bytes += bytes
        return true
      },
      give: (bytes) => {
        held -= bytes
        this.#bytes -= bytes
      },
    }
  }
}
