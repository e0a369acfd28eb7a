import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../src/compose/index.js'

const secret = randomBytes(32)
const text = secret.toString('hex')

/** What stands in the log after somebody was careless. */
function logged(careless: (logger: Logger) => void): Record<string, unknown> {
  const lines: string[] = []
  careless(createLogger('info', { write: (line) => lines.push(line) }))
  expect(lines).toHaveLength(1)
  return JSON.parse(lines[0]!) as Record<string, unknown>
}

describe('a line of the log', () => {
  it('has what is on the list', () => {
    const { time, ...rest } = logged((logger) => {
      logger.warn({ event: 'key_locked', share_id: 's', frames: ['at x'], code: undefined }, 'text')
    })
    expect(time).toMatch(/^\d{4}-/)
    expect(rest).toEqual({
      level: 40,
      event: 'key_locked',
      share_id: 's',
      frames: ['at x'],
      msg: 'text',
    })
  })

  it.each<[string, (logger: Logger) => void]>([
    ['a field that is not on it', (logger) => logger.info({ event: 'x', key_share: text })],
    ['what is inherited by name', (logger) => logger.info({ toString: text, constructor: text })],
    ['an object in a known field', (logger) => logger.info({ message: { share: text } })],
    ['bytes in a known field', (logger) => logger.info({ code: secret })],
    ['an error in a known field', (logger) => logger.info({ error: new Error(text) })],
    ['a list of more than text', (logger) => logger.info({ frames: [{ share: text }] })],
    ['an error, and its message', (logger) => logger.error(new Error(text))],
    ['an error beside others', (logger) => logger.error({ err: new Error(text) })],
    ['what is put into its text', (logger) => logger.info('made %s', text)],
    ['what is put into its text, too', (logger) => logger.info({ event: 'x' }, 'made %s', text)],
    ['bytes alone', (logger) => logger.info(secret)],
  ])('has not: %s', (_, careless) => {
    const line = JSON.stringify(logged(careless))
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      expect(line).not.toContain(secret.toString(encoding))
    expect(line).not.toContain(secret.join(','))
  })

  it('says how many fields were left out', () => {
    expect(logged((logger) => logger.info({ event: 'x', a: 1, b: 2 }))).toMatchObject({
      event: 'x',
      dropped: 2,
    })
  })

  it.each([
    { event: 'share_mail_failed', attempts: 2, error: 'the command ended with 1' },
    { event: 'share_events_missing', origin: 1, missing: 3 },
    { event: 'share_peer_failed', peer: 'keys.example', error: 'ECONNREFUSED' },
  ])('has all that servers of share codes say: $event', (said) => {
    const line = logged((logger) => logger.warn(said))
    expect(line).toMatchObject(said)
    expect(line).not.toHaveProperty('dropped')
  })
})
