import { createHash, randomBytes } from 'node:crypto'
import { verifyBundle } from '@vertex/mpc'
import { describe, expect, it } from 'vitest'
import { openBundle, writeBundle, type BundleHeader } from '../../src/bundle/index.js'
import { BackupSecret } from '../../src/seal/index.js'
import { bundledTables, type BundledRow, type Cell } from '../../src/store/bundled.js'
import { byHand, identityOf, long, row, signed, u32, u64, u8 } from './by-hand.js'

const bytes = new Uint8Array(randomBytes(32))
const vaultName = 'prod'
const secret = new BackupSecret(bytes, vaultName, 'a-secret', 'v7')
const older = new BackupSecret(new Uint8Array(randomBytes(32)), vaultName, 'a-secret', 'v6')
const header: BundleHeader = {
  vaultName,
  secret,
  createdAt: 1_700_000_000_000,
  generation: 'ab'.repeat(16),
  auditHead: { seq: 12, hash: 'cd'.repeat(32) },
}
const table = (name: string) => bundledTables.findIndex((one) => one.name === name)
const user = (id: string): BundledRow => ({
  table: table('users'),
  cells: [id, `name of ${id} – ünïcode`, 1_000, true],
})
const share = (id: string, record: number): BundledRow => ({
  table: table('shares'),
  cells: [id, 'u1', '02aa', 1, 0, 2, 3, '03bb', 'generated', randomBytes(record), 5, null],
})
const apiKey: BundledRow = { table: table('api_keys'), cells: ['k', 'u1', 'ff', 7, null, false] }

async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item)
}
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all = []
  for await (const item of items) all.push(item)
  return all
}
const copyOf = ({ table, cells }: BundledRow): BundledRow => ({
  table,
  cells: cells.map((cell) => (cell instanceof Uint8Array ? Uint8Array.from(cell) : cell)),
})
const plain = (rows: readonly BundledRow[]) =>
  rows.map((one) => ({
    ...one,
    cells: one.cells.map((cell: Cell) =>
      cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : cell,
    ),
  }))

const made = async (rows: readonly BundledRow[]) =>
  Buffer.concat(await collect(writeBundle(secret, header, each(rows.map(copyOf)))))

const reader = { vaultName, secrets: [older, secret], setting: 'SETTING' }

/** In pieces of odd sizes, as a file system may give it. */
async function read(file: Uint8Array, more: Partial<typeof reader> = {}) {
  const pieces = []
  for (let at = 0, size = 1; at < file.length; at += size, size = (size * 7) % 9_973)
    pieces.push(file.subarray(at, at + size))
  const bundle = await openBundle(each(pieces), { ...reader, ...more })
  return { header: bundle.header, rows: await collect(bundle.rows) }
}
const refusal = (file: Uint8Array, more?: Partial<typeof reader>) =>
  read(file, more).then(
    () => 'accepted',
    (error: unknown) => {
      const { code, message } = error as { code: string; message: string }
      return `${code}: ${message}`
    },
  )

// Three chunks, the last one short.
const rows = [user('u1'), apiKey, share('s1', 60_000), share('s2', 70_000), share('s3', 500)]

describe('a bundle', () => {
  it('gives back what was put in, over several chunks', async () => {
    const file = await made(rows)
    const back = await read(file)
    expect(plain(back.rows)).toEqual(plain(rows))
    expect(back.header).toMatchObject({ vaultName, createdAt: header.createdAt })
    expect(back.header).toMatchObject({
      generation: header.generation,
      auditHead: header.auditHead,
      secret: { name: 'a-secret', version: 'v7' },
    })
  })

  it('may be empty, and may fill its last chunk exactly', async () => {
    expect((await read(await made([]))).rows).toEqual([])
    const overhead = 4 + encoded(share('s', 0)) + 4
    for (const more of [-1, 0, 1]) {
      const exact = [share('s', 65_536 - overhead + more)]
      expect(plain((await read(await made(exact))).rows)).toEqual(plain(exact))
    }
  })

  it('is another one each time, and holds nothing of its rows in the clear', async () => {
    const [one, other] = [await made(rows), await made(rows)]
    expect(one.equals(other)).toBe(false)
    for (const text of ['name of u1', 'ünïcode', 'generated'])
      expect(one.subarray(200).includes(text)).toBe(false)
    expect(one.includes(rows[2]!.cells[9] as Buffer)).toBe(false)
  })

  it('is what the spec says, read by us and made by another hand', async () => {
    const plaintext = Buffer.concat([
      row(u8(2), long('u1'), long('ada'), u64(1_000), u8(1)),
      row(u8(3), long('k'), long('u1'), long('ff'), u64(7), u8(0), u8(0)),
      row(u8(3), long('l'), long('u1'), long('fe'), u64(7), u8(1), u64(9), u8(0)),
      u32(0),
    ])
    const back = await read(byHand({ secret: bytes, vaultName, plaintext }).file)
    expect(back.rows).toEqual([
      { table: 1, cells: ['u1', 'ada', 1_000, true] },
      { table: 2, cells: ['k', 'u1', 'ff', 7, null, false] },
      { table: 2, cells: ['l', 'u1', 'fe', 7, 9, false] },
    ])
    expect(back.header.auditHead).toEqual({ seq: 12, hash: 'cd'.repeat(32) })
  })

  it('can be checked by whoever knows the identity of the vault and no secret', async () => {
    const file = await made(rows)
    const digest = createHash('sha256').update(file.subarray(0, -64)).digest()
    const identity = identityOf(bytes, vaultName)
    expect(verifyBundle(identity, { vaultName, digest }, file.subarray(-64))).toBe(true)
    const other = createHash('sha256').update(file).digest()
    expect(verifyBundle(identity, { vaultName, digest: other }, file.subarray(-64))).toBe(false)
    expect(verifyBundle(identity, { vaultName: 'x', digest }, file.subarray(-64))).toBe(false)
  })

  it('is written as fast as it is taken: no more than a chunk of rows ahead', async () => {
    let asked = 0
    const endless = (async function* () {
      for (;;) {
        asked++
        yield await Promise.resolve(share('s', 1_000))
      }
    })()
    const pieces = writeBundle(secret, header, endless)
    for (let taken = 0; taken < 5; taken++) {
      await pieces.next()
      expect(asked).toBeLessThanOrEqual((taken + 1) * 66)
    }
    await pieces.return(undefined)
  })

  it('is read as far as it is asked for', async () => {
    const file = await made(Array.from({ length: 400 }, (_, i) => share(`s${i}`, 2_000)))
    let given = 0
    const pieces = (async function* () {
      for (let at = 0; at < file.length; at += 4_096) {
        given = at
        yield await Promise.resolve(file.subarray(at, at + 4_096))
      }
    })()
    const bundle = await openBundle(pieces, reader)
    let seen = 0
    for await (const one of bundle.rows) {
      seen += (one.cells[9] as Uint8Array).length
      expect(given).toBeLessThan(seen + 2 * 65_536)
    }
    expect(seen).toBe(400 * 2_000)
  })
})

const encoded = (one: BundledRow): number =>
  1 + one.cells.reduce<number>((sum, cell, i) => sum + sizeOf(cell, one.table, i), 0)
function sizeOf(cell: Cell, of: number, i: number): number {
  const { kind, nullable } = bundledTables[of]!.columns[i]!
  const mark = nullable ? 1 : 0
  if (cell === null) return mark
  if (kind === 'number') return mark + 8
  if (kind === 'flag') return mark + 1
  return mark + 4 + Buffer.from(cell as string).length
}

describe('a bundle that was changed is refused, and says why', () => {
  const plaintext = Buffer.concat([
    ...Array.from({ length: 60 }, (_, i) =>
      row(u8(2), long(`u${i}`), long('n'.repeat(3_000)), u64(1), u8(0)),
    ),
    u32(0),
  ])
  const parts = { secret: bytes, vaultName, plaintext }
  const good = byHand(parts)

  it('unless it was not', async () => {
    expect(good.chunks).toHaveLength(3)
    expect(await refusal(good.file)).toBe('accepted')
  })

  it('4.1 another file', async () => {
    expect(await refusal(byHand({ ...parts, magic: 'VTXBUNDM' }).file)).toMatch(/^not_a_bundle/)
    expect(await refusal(Buffer.from('-----BEGIN SOMETHING ELSE-----'))).toMatch(/^not_a_bundle/)
  })

  it('4.2 a newer format, whatever follows', async () => {
    expect(await refusal(byHand({ ...parts, format: 2 }).file)).toMatch(/^bundle_newer.*format 2/)
    expect(await refusal(byHand({ ...parts, format: 0 }).file)).toMatch(/^bundle_damaged.*header/)
  })

  it('4.3 a header of another form', async () => {
    const body = good.prelude.subarray(13)
    for (const wrong of [
      body.subarray(0, -1),
      Buffer.concat([body, u8(0)]),
      Buffer.concat([Buffer.of(4, 0x70, 0x72, 0x0a, 0x64), body.subarray(5)]),
      Buffer.alloc(2_000),
    ])
      expect(await refusal(byHand({ ...parts, body: wrong }).file)).toMatch(
        /^bundle_damaged.*header/,
      )
  })

  it('4.4 a bundle of another vault, also under the same secret', async () => {
    const other = byHand({ ...parts, vaultName: 'staging' }).file
    expect(await refusal(other)).toMatch(/^bundle_of_other_vault.*staging, not prod/)
    expect(await refusal(good.file, { vaultName: 'staging' })).toMatch(/prod, not staging/)
  })

  it('4.5 a secret that is not there, by its name and fingerprint', async () => {
    expect(await refusal(good.file, { secrets: [older] })).toMatch(
      new RegExp(
        `^bundle_secret_missing: SETTING: .*a-secret, version v7 .*${secret.id.slice(0, 16)}`,
      ),
    )
  })

  it('4.6 a header that was written over: vault, secret, time, generation, audit head', async () => {
    const other = byHand({ ...parts, vaultName: 'tord' })
    const renamed = Buffer.from(other.file)
    renamed.set(Buffer.from('prod'), other.prelude.indexOf('tord'))
    expect(await refusal(renamed)).toMatch(/^bundle_damaged.*commitment/)
    const foreign = Buffer.from(good.file)
    foreign.set(older.fingerprint, 13 + 1 + vaultName.length)
    expect(await refusal(foreign)).toMatch(/^bundle_damaged.*commitment/)
    const body = good.prelude.length
    for (const at of [body - 1, body - 33, body - 41, body - 57, body + 5, body + 40])
      expect(await refusal(flipped(good.file, at))).toMatch(/^bundle_damaged.*commitment/)
  })

  const { prelude, salt, commitment } = good
  const [a, b, c] = good.chunks as [Buffer, Buffer, Buffer]
  /** Signed again, so that only the chunks can tell. */
  const of = (...chunks: Buffer[]) => signed(parts, { prelude, salt, commitment, chunks })

  it.each([
    ['two in another order', of(b, a, c)],
    ['one left out', of(a, c)],
    ['the first left out', of(b, c)],
    ['one twice', of(a, a, b, c)],
    ['the last one twice', of(a, b, c, c)],
    ['one of another file', of(a, other(), c)],
    ['a bit in the middle', of(a, flipped(b, 1_000), c)],
    ['a bit of a tag', of(a, b, flipped(c, c.length - 1))],
    ['the last one marked as not the last', of(a, b, Buffer.concat([u8(0), c.subarray(1)]))],
    ['an earlier one marked as the last', of(a, Buffer.concat([u8(1), b.subarray(1)]))],
    ['a mark that is neither', of(a, b, Buffer.concat([u8(2), c.subarray(1)]))],
    ['a length that is too great', of(a, Buffer.concat([u8(0), u32(2 ** 31), b.subarray(5)]), c)],
    ['a last chunk without contents', of(a, b, Buffer.concat([u8(1), u32(16), Buffer.alloc(16)]))],
    ['shorter chunks than there must be', byHand({ ...parts, cuts: [0, 100, 65_636] }).file],
  ])('4.7 chunks: %s', async (_, file) => {
    expect(await refusal(file)).toMatch(/^bundle_damaged/)
  })

  function other(): Buffer {
    const salted = byHand({ ...parts, secret: older.fingerprint })
    return salted.chunks[1]!
  }

  const rowOf = (...bytesOf: Uint8Array[]) => Buffer.concat([row(...bytesOf), u32(0)])
  it.each([
    ['of no table', rowOf(u8(9), long('x'))],
    ['of table nought', rowOf(u8(0), long('x'))],
    ['that is empty of columns', rowOf(u8(2))],
    ['with something behind', rowOf(u8(2), long('u'), long('n'), u64(1), u8(0), u8(0))],
    ['with a flag that is neither', rowOf(u8(2), long('u'), long('n'), u64(1), u8(2))],
    ['with a number beyond all', rowOf(u8(2), long('u'), long('n'), Buffer.alloc(8, 255), u8(0))],
    ['with text that is none', rowOf(u8(2), long(Buffer.of(0xff)), long('n'), u64(1), u8(0))],
    [
      'with a null that is neither',
      rowOf(u8(3), long('k'), long('u'), long('f'), u64(1), u8(2), u64(1), u8(0)),
    ],
    [
      'of a table whose turn is over',
      Buffer.concat([
        row(u8(3), long('k'), long('u'), long('f'), u64(1), u8(0), u8(0)),
        row(u8(2), long('u'), long('n'), u64(1), u8(0)),
        u32(0),
      ]),
    ],
    ['that is too long', Buffer.concat([u32(2 ** 20 + 1), Buffer.alloc(2 ** 20 + 1), u32(0)])],
    ['that goes on behind the end', Buffer.concat([u32(100), u8(2), long('u')])],
  ])('4.8 a row %s', async (_, text) => {
    expect(await refusal(byHand({ ...parts, plaintext: text }).file)).toMatch(/^bundle_damaged/)
  })

  it('4.9 rows without an end, and something behind it', async () => {
    const open = plaintext.subarray(0, -4)
    expect(await refusal(byHand({ ...parts, plaintext: open }).file)).toMatch(/end of the rows/)
    const more = Buffer.concat([plaintext, u8(7)])
    expect(await refusal(byHand({ ...parts, plaintext: more }).file)).toMatch(/behind the rows/)
    const much = Buffer.concat([plaintext, Buffer.alloc(70_000)])
    expect(await refusal(byHand({ ...parts, plaintext: much }).file)).toMatch(/behind the rows/)
  })

  it('4.10 a signature that is changed, or says another name', async () => {
    const at = good.file.length - 10
    expect(await refusal(flipped(good.file, at))).toMatch(/^bundle_damaged.*signature/)
    const named = byHand({ ...parts, signedName: 'staging' }).file
    expect(await refusal(named)).toMatch(/^bundle_damaged.*signature/)
    const nobody = Buffer.concat([good.file.subarray(0, -64), Buffer.alloc(64)])
    expect(await refusal(nobody)).toMatch(/^bundle_damaged.*signature/)
  })

  it('4.11 something behind', async () => {
    expect(await refusal(Buffer.concat([good.file, u8(0)]))).toMatch(/behind the signature/)
  })

  it('that was cut off, wherever it ends', async () => {
    const { length } = good.file
    const ends = [0, 1, 8, 12, 13, 50, good.prelude.length, good.prelude.length + 63, 300, 65_000]
    ends.push(length - 1, length - 63, length - 64, length - 65, 65_900, 140_000)
    for (const end of ends)
      expect(await refusal(good.file.subarray(0, end)), String(end)).toMatch(/^bundle_truncated/)
  })

  it('in any single bit of the smallest one', async () => {
    const small = byHand({ ...parts, plaintext: Buffer.concat([u32(0)]) }).file
    for (let at = 0; at < small.length; at++)
      expect(await refusal(flipped(small, at, at % 8)), String(at)).not.toBe('accepted')
  })

  function flipped(file: Uint8Array, at: number, bit = 0): Buffer {
    const changed = Buffer.from(file)
    changed[at]! ^= 1 << bit
    return changed
  }
})
