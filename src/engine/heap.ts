import { setFlagsFromString } from 'node:v8'

/**
 * Lets a heap grow to twice what lives in it before all of it is marked. What lives here is small, and what
 * signatures leave behind dies young but is large: messages of 40 kB. With V8's own measure each thread marks its heap
 * several times a second under load, and throws away compiled functions each time. docs/decisions/0015-room-for-garbage.md
 *
 * To be called before the threads start. What V8 may take at most stays as it is.
 */
export function growHeapsFreely(): void {
  setFlagsFromString('--heap-growing-percent=100')
  setFlagsFromString('--no-flush-bytecode')
}
