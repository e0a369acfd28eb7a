import { randomBytes } from 'node:crypto'
import { emptyTraffic, keygenWithSetups, sign, suites } from './protocol.js'
import type { Samples } from './samples.js'

/** Flights of the handshake that opens a channel, which no run of the bare protocol shows. docs/spec/channel.md */
const HANDSHAKE_FLIGHTS = 2

/** Bytes, messages and flights of all parties, without handshake and framing. */
export function measureTraffic(samples: Samples): void {
  const suite = suites.native()
  for (const parties of [2, 3]) {
    const label = `2of${parties}`
    const made = { keygen: emptyTraffic(), setup: emptyTraffic() }
    const key = keygenWithSetups(suite, 2, parties, made)
    const signing = emptyTraffic()
    sign(suite, key, 2, Uint8Array.from(randomBytes(32)), signing)
    for (const [name, { bytes, messages, flights }] of [
      [`keygen_${label}`, made.keygen],
      [`ot_setup_${label}`, made.setup],
      [`sign_${label}`, signing],
    ] as const) {
      samples.add(`${name}_bytes`, bytes)
      samples.add(`${name}_messages`, messages)
      samples.add(`${name}_flights`, flights)
    }
    samples.add(`sign_${label}_round_trips`, (signing.flights + HANDSHAKE_FLIGHTS) / 2)
  }
}
