import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HttpProblem } from '../../src/http/errors.js'
import { MAX_DEPTH, parseStrictJson } from '../../src/http/strict-json.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string) => parseStrictJson(bytes(text))

describe('strict JSON', () => {
  it('reads every object that JSON.stringify writes', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }), { maxKeys: 6 })
    fc.assert(
      fc.property(object, (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'))
        expect(parse(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 200, seed: 1 },
    )
  })

  it.each([
    ['{"a":1,"a":2}', 'twice'],
    ['{"a":1,"\\u0061":2}', 'twice'],
    ['{"x":{"a":[],"b":0,"a":1}}', 'twice'],
    ['{"x":[{"a":1},{"b":1,"b":1}]}', 'twice'],
    ['{"__proto__":{"admin":true}}', 'not allowed'],
    ['{"x":{"\\u005f_proto__":1}}', 'not allowed'],
    ['[]', 'must be a JSON object'],
    ['"text"', 'must be a JSON object'],
    ['null', 'must be a JSON object'],
    ['12', 'must be a JSON object'],
    ['{"a":1}x', 'not valid JSON'],
    ['{"a":01}', 'not valid JSON'],
    ["{'a':1}", 'not valid JSON'],
    ['{"a":1,}', 'not valid JSON'],
    ['{"a":NaN}', 'not valid JSON'],
    ['{"a":"\u0000"}', 'not valid JSON'],
    ['{"a', 'not valid JSON'],
    ['\ufeff{"a":1}', 'not valid JSON'],
  ])('refuses %s', (text, why) => {
    expect(() => parse(text)).toThrow(why)
  })

  it('lets the same name stand in different objects', () => {
    expect(parse('{"a":{"a":1},"b":[{"a":1},{"a":1}]}')).toEqual({
      a: { a: 1 },
      b: [{ a: 1 }, { a: 1 }],
    })
  })

  it('does not take a string value or a bracket in a string for structure', () => {
    const text = `{"a":"${'['.repeat(100)}","b":"\\"{\\\\","c":["a","a"]}`
    expect(parse(text)).toEqual(JSON.parse(text))
  })

  it(`nests ${MAX_DEPTH} levels and not one more`, () => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
    expect(parse(nested(MAX_DEPTH))).toBeTypeOf('object')
    expect(() => parse(nested(MAX_DEPTH + 1))).toThrow('deeper')
    expect(() => parse(`{"a":${'['.repeat(30_000)}`)).toThrow('deeper')
  })

  it('refuses bytes that are not UTF-8, and quotes nothing of what it refuses', () => {
    expect(() => parseStrictJson(Uint8Array.of(0x7b, 0xff, 0x7d))).toThrow('UTF-8')
    expect(() => parse('{"api_key": vtx_secret}')).toThrow(/^(?!.*vtx_secret)/)
  })

  it('never fails with anything but a documented problem', () => {
    const junk = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', 'a', '1', ' ') })
        .map(bytes),
    )
    fc.assert(
      fc.property(junk, (input) => {
        try {
          parseStrictJson(input)
        } catch (error) {
          expect(error).toBeInstanceOf(HttpProblem)
        }
      }),
      { numRuns: 500, seed: 2 },
    )
  })
})
