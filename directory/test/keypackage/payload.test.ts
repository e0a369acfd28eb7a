import { describe, expect, it } from 'vitest'
import {
  decodeAccount,
  decodeKeyPackage,
  encodeAccount,
  encodeKeyPackage,
  readLamport,
} from '../../src/keypackage/index.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const device = (byte: number) => new Uint8Array(32).fill(byte)

describe('the payload of a key package', () => {
  it('has the time first, little-endian, and then the package', () => {
    const payload = encodeKeyPackage({ timestampMs: 0x0102n, keyPackage: Uint8Array.of(9, 8, 7) })
    expect(hex(payload)).toBe('0201000000000000' + '090807')
    expect(decodeKeyPackage(payload)).toEqual({
      timestampMs: 0x0102n,
      keyPackage: Uint8Array.of(9, 8, 7),
    })
  })

  it('may have an empty package, and not less than its time', () => {
    expect(decodeKeyPackage(new Uint8Array(8))?.keyPackage).toEqual(new Uint8Array(0))
    expect(decodeKeyPackage(new Uint8Array(7))).toBeUndefined()
  })

  it('holds every time of 64 bits and no other', () => {
    const timestampMs = 2n ** 64n - 1n
    const payload = encodeKeyPackage({ timestampMs, keyPackage: new Uint8Array(0) })
    expect(decodeKeyPackage(payload)?.timestampMs).toBe(timestampMs)
    for (const wrong of [-1n, 2n ** 64n])
      expect(() => encodeKeyPackage({ timestampMs: wrong, keyPackage: device(0) })).toThrow(
        RangeError,
      )
  })
})

describe('the payload of an account', () => {
  const payload = encodeAccount({ lamport: 258n, devices: [device(0xaa), device(0xbb)] })

  it('has the bytes that clients of the original write', () => {
    expect(hex(payload)).toBe(
      hex(Buffer.from('libchat:account-device-bundle\0')) +
        '01' +
        '0201000000000000' +
        '0200' +
        'aa'.repeat(32) +
        'bb'.repeat(32),
    )
    expect(decodeAccount(payload)).toEqual({ lamport: 258n, devices: [device(0xaa), device(0xbb)] })
  })

  it('is read whole or not at all', () => {
    for (let length = 0; length < payload.length; length++)
      expect(decodeAccount(payload.subarray(0, length))).toBeUndefined()
    expect(decodeAccount(Uint8Array.from([...payload, 0]))).toBeUndefined()
    const version2 = payload.slice()
    version2[30] = 2
    expect(decodeAccount(version2)).toBeUndefined()
  })

  it('shows its lamport in any version, as soon as it is whole and behind the right words', () => {
    const header = payload.subarray(0, 39)
    expect(readLamport(header)).toBe(258n)
    expect(readLamport(header.subarray(0, 38))).toBeUndefined()
    const other = payload.slice()
    other[30] = 200
    expect(readLamport(other)).toBe(258n)
    other[3]! ^= 1
    expect(readLamport(other)).toBeUndefined()
    // Part of a larger buffer, as a body is.
    const inside = Buffer.concat([Buffer.alloc(3), payload]).subarray(3)
    expect(readLamport(inside)).toBe(258n)
  })

  it('holds every lamport of 64 bits, and what it cannot hold is not cut to fit', () => {
    const lamport = 2n ** 64n - 1n
    expect(readLamport(encodeAccount({ lamport, devices: [] }))).toBe(lamport)
    expect(() => encodeAccount({ lamport: lamport + 1n, devices: [] })).toThrow(RangeError)
    expect(() => encodeAccount({ lamport: -1n, devices: [] })).toThrow(RangeError)
    expect(() => encodeAccount({ lamport, devices: [new Uint8Array(31)] })).toThrow(RangeError)
    const many = Array.from({ length: 65_536 }, () => device(1))
    expect(() => encodeAccount({ lamport, devices: many })).toThrow(RangeError)
  })
})
