import { describe, expect, it } from 'vitest'
import { rowSeal, StorageKey } from '../../src/seal/index.js'
import { SealedValueInvalid } from '../../src/vault/ports.js'

const storage = (byte = 1, vaultName = 'v') =>
  new StorageKey(new Uint8Array(32).fill(byte), vaultName)
const rows = rowSeal(storage())
const row = { table: 'shares', id: 'a1', column: 'record' }
const value = new Uint8Array(200).map((_, i) => i)

describe('a value at rest', () => {
  it('opens in its place, also an empty one, also after the vault was renamed', () => {
    expect(rows.open(row, rows.seal(row, value))).toEqual(value)
    expect(rows.open(row, rows.seal(row, new Uint8Array()))).toEqual(new Uint8Array())
    expect(rowSeal(storage(1, 'renamed')).open(row, rows.seal(row, value))).toEqual(value)
  })

  it('is sealed afresh at every write', () => {
    const [a, b] = [rows.seal(row, value), rows.seal(row, value)]
    expect(a).toHaveLength(1 + 32 + value.length + 16)
    expect(a.subarray(1, 33)).not.toEqual(b.subarray(1, 33))
    expect(a.subarray(33)).not.toEqual(b.subarray(33))
  })

  it('does not open in any other place', () => {
    const sealed = rows.seal(row, value)
    const places = [
      { ...row, table: 'setups' },
      { ...row, id: 'a2' },
      { ...row, column: 'identity' },
      { table: 'share', id: 'sa1', column: 'record' },
      { table: 'shares', id: 'a1record', column: '' },
      { table: 'sharesa1', id: '', column: 'record' },
    ]
    for (const place of places) expect(() => rows.open(place, sealed)).toThrow(SealedValueInvalid)
  })

  it('does not open under another storage key', () => {
    expect(() => rowSeal(storage(2)).open(row, rows.seal(row, value))).toThrow(SealedValueInvalid)
  })

  it('does not open when any byte of it was changed, cut or added', () => {
    const sealed = rows.seal(row, value)
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice()
      changed[at]! ^= 0x40
      expect(() => rows.open(row, changed)).toThrow(SealedValueInvalid)
    }
    for (const length of [0, 1, 32, 33, 48, 49, sealed.length - 1])
      expect(() => rows.open(row, sealed.subarray(0, length))).toThrow(SealedValueInvalid)
    expect(() => rows.open(row, Uint8Array.of(...sealed, 0))).toThrow(SealedValueInvalid)
  })
})
