import { Malformed, Reader, u32, u64, u8 } from '../seal/bytes.js'
import { bundledTables, type BundledColumn, type BundledRow, type Cell } from '../store/bundled.js'

/** The bytes of one row. docs/spec/bundle.md, 2.3 */
export function encodeRow({ table, cells }: BundledRow): Uint8Array {
  const { columns } = bundledTables[table]!
  const parts = columns.flatMap((column, i) => encodeCell(column, cells[i]!))
  return Buffer.concat([u8(table + 1), ...parts])
}

/** @throws Malformed for anything but what {@link encodeRow} makes */
export function decodeRow(bytes: Uint8Array): BundledRow {
  const reader = new Reader(bytes)
  const table = reader.u8() - 1
  const described = bundledTables[table]
  if (described === undefined) throw new Malformed()
  const cells = described.columns.map((column) => decodeCell(column, reader))
  reader.end()
  return { table, cells }
}

function encodeCell({ kind, nullable, name }: BundledColumn, cell: Cell): Uint8Array[] {
  const mark = nullable ? [u8(cell === null ? 0 : 1)] : []
  if (cell === null) {
    if (!nullable) throw new Error(`${name} is null`)
    return mark
  }
  switch (kind) {
    case 'number':
      return [...mark, u64(cell as number)]
    case 'flag':
      return [...mark, u8(cell === true ? 1 : 0)]
    case 'text':
      return [...mark, ...withLength(Buffer.from(cell as string, 'utf8'))]
    case 'bytes':
      return [...mark, ...withLength(cell as Uint8Array)]
  }
}

const withLength = (bytes: Uint8Array) => [u32(bytes.length), bytes]

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeCell({ kind, nullable }: BundledColumn, reader: Reader): Cell {
  if (nullable && !flagOf(reader)) return null
  switch (kind) {
    case 'number':
      return reader.u64()
    case 'flag':
      return flagOf(reader)
    case 'text':
      return textOf(reader.take(reader.u32()))
    case 'bytes':
      return reader.take(reader.u32())
  }
}

function flagOf(reader: Reader): boolean {
  const value = reader.u8()
  if (value > 1) throw new Malformed()
  return value === 1
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Malformed()
  }
}
