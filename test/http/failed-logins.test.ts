import { expect, it } from 'vitest'
import { FailedLogins } from '../../src/http/failed-logins.js'

function limiter() {
  const clock = { now: 0 }
  return { clock, logins: new FailedLogins(() => clock.now) }
}

it('tells a source to wait for the rest of the minute from its eleventh failure on', () => {
  const { clock, logins } = limiter()
  for (let i = 0; i < 10; i++) expect(logins.failed('a')).toBe(0)
  clock.now = 20_000
  expect(logins.failed('a')).toBe(40)
  expect(logins.failed('b')).toBe(0)
  clock.now = 60_000
  for (let i = 0; i < 10; i++) expect(logins.failed('a')).toBe(0)
  expect(logins.failed('a')).toBe(60)
})

it('keeps a bounded memory of sources', () => {
  const { logins } = limiter()
  for (let i = 0; i < 10; i++) logins.failed('first')
  expect(logins.failed('first')).toBeGreaterThan(0)
  for (let i = 0; i < 10_000; i++) logins.failed(`source ${i}`)
  expect(logins.failed('first')).toBe(0)
})
