import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import * as mpc from '@vertex/mpc'
import { verifiesInNode } from './support/verify.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

interface Example {
  readonly signature: mpc.Signature
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly der: Uint8Array
  readonly backup: Uint8Array
}

it('the README’s example makes a key and a signature that verifies', () => {
  const [, code] = /```js\n(.*?)```/s.exec(readme)!
  const runnable = code!.replace(/^import (\{.*?\}) from '@vertex\/mpc'/s, 'const $1 = mpc')
  expect(runnable).not.toContain('import ')
  const results = 'return { signature, publicKey, message, der, backup }'
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the README's code is the thing under test
  const example = new Function('mpc', `${runnable}\n${results}`) as (m: typeof mpc) => Example
  const { signature, publicKey, message, der, backup } = example(mpc)
  expect(verifiesInNode(signature, message, publicKey)).toBe(true)
  expect(der).toEqual(mpc.encodeDer(signature.r, signature.s))
  expect(mpc.decodeKeyShare(mpc.portableSuite(), backup).index).toBe(1)
})

it('the README says on its first screen what it is not', () => {
  const screen = readme.split('\n').slice(0, 12).join('\n')
  expect(screen).toContain(
    'Own implementation of DKLs23. Not independently audited. Not constant time.',
  )
})

it('the README names only what the package exports', () => {
  const table = readme.slice(
    readme.indexOf('| you want to'),
    readme.indexOf('Rounds are functions'),
  )
  const names = [...table.matchAll(/`([a-z][A-Za-z]+)(?:\(\))?`/g)].map(([, name]) => name!)
  expect(names.length).toBeGreaterThan(10)
  for (const name of names.filter((n) => n !== 'nativeSuite')) expect(mpc).toHaveProperty(name)
})
