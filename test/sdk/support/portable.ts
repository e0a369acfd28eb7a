import { portableSuite } from '@vertex/mpc'

// Runs in a process of its own: says which implementations it got, and what they compute.
const { curve, kernel } = portableSuite()
const point = curve.encode(curve.mulBase(2n ** 255n - 19n))
const hash = kernel.hash(new Uint8Array(32).fill(7), new Uint8Array(3000), 32)
console.log(
  JSON.stringify({ curve: curve.name, kernel: kernel.name, point: [...point], hash: [...hash] }),
)
