import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { nobleSuite } from '../../mpc/src/noble-suite.js'
import { bundleForNode } from '../support/bundle.js'

let program: string
beforeAll(async () => {
  program = await bundleForNode(join(import.meta.dirname, 'support/portable.ts'))
})

const portable = (...options: string[]) =>
  JSON.parse(execFileSync(process.execPath, [...options, program], { encoding: 'utf8' })) as unknown

const { curve, kernel } = nobleSuite()
const expected = {
  point: [...curve.encode(curve.mulBase(2n ** 255n - 19n))],
  hash: [...kernel.hash(new Uint8Array(32).fill(7), new Uint8Array(3000), 32)],
}

it('the portable suite runs on the kernel', () => {
  expect(portable()).toEqual({ ...expected, curve: 'wasm', kernel: 'wasm' })
})

// V8 has no vector instructions of WebAssembly on processors without SSE4.1, and this is how it takes ours for one.
it.skipIf(process.arch !== 'x64')(
  'without vector instructions the portable suite runs on the reference and noble’s curve',
  () => {
    expect(portable('--no-enable-sse4-1')).toEqual({
      ...expected,
      curve: 'noble',
      kernel: 'reference',
    })
  },
)
