import { expect, it } from 'vitest'
import { FailedLogins } from '../../src/http/failed-logins.js'

function limiter() {
  const clock = { now: 0 }
  return { clock, logins: new FailedLogins(() => clock.now) }
}

it('makes a source wait for the rest of the minute after ten failures', () => {
  const { clock, logins } = limiter()
  for (let i = 0; i < 10; i++) {
    expect(logins.wait('a', 'guess')).toBe(0)
    logins.failed('a', `guess ${i}`)
  }
  clock.now = 20_000
  expect(logins.wait('a', 'guess')).toBe(40)
  expect(logins.wait('b', 'guess')).toBe(0)
  clock.now = 60_000
  expect(logins.wait('a', 'guess')).toBe(0)
  logins.failed('a', 'guess')
  expect(logins.wait('a', 'guess')).toBe(0)
})

it('still listens to a credential that worked, until it fails', () => {
  const { logins } = limiter()
  logins.succeeded('good')
  for (let i = 0; i < 10; i++) logins.failed('a', 'guess')
  expect(logins.wait('a', 'good')).toBe(0)
  logins.failed('a', 'good')
  expect(logins.wait('a', 'good')).toBeGreaterThan(0)
})

it('keeps a bounded memory of sources', () => {
  const { logins } = limiter()
  for (let i = 0; i < 10; i++) logins.failed('first', 'x')
  expect(logins.wait('first', 'x')).toBeGreaterThan(0)
  for (let i = 0; i < 10_000; i++) logins.failed(`source ${i}`, 'x')
  expect(logins.wait('first', 'x')).toBe(0)
})
