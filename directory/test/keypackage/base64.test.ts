import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBase64 } from '../../src/keypackage/index.js'

describe('base64', () => {
  it('reads what RFC 4648 writes, section 10', () => {
    const vectors = { '': '', f: 'Zg==', fo: 'Zm8=', foo: 'Zm9v', foobar: 'Zm9vYmFy' }
    for (const [text, base64] of Object.entries(vectors))
      expect(Buffer.from(decodeBase64(base64)!).toString()).toBe(text)
  })

  it('reads every run of bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(decodeBase64(Buffer.from(bytes).toString('base64'))).toEqual(bytes)
      }),
    )
  })

  it.each([
    ['without its padding', 'Zg'],
    ['with half of its padding', 'Zg='],
    ['with too much padding', 'Zg===='],
    ['of padding alone', '===='],
    ['with padding before its end', 'Zg==Zm9v'],
    ['with padding inside', 'Z=g='],
    ['with a bit that no byte holds', 'Zh=='],
    ['with a bit that no byte holds, in the longer form', 'Zm9='],
    ['with a line break', 'Zm9v\n'],
    ['with a blank', 'Zm9v Zg=='],
    ['in the alphabet of URLs', '-_-_'],
    ['with a letter of another script', 'Zm9\u0436'],
    ['with a letter whose low byte would pass', 'Zm9\u0176'],
    ['with a letter from far away', 'Zm\u{1f600}'],
    ['with a NUL', 'Zm9\0'],
    ['one letter long', 'Z'],
  ])('does not read text %s', (_, text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })

  it('gives each run of bytes one text', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('A', 'Q', 'g', 'w', 'Z', '/', '+', '=', '\n', '-'),
          maxLength: 12,
        }),
        (text) => {
          const bytes = decodeBase64(text)
          if (bytes !== undefined) expect(Buffer.from(bytes).toString('base64')).toBe(text)
        },
      ),
      { numRuns: 2000 },
    )
  })
})
