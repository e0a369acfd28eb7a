import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  anchorOf,
  EMPTY,
  formatAnchor,
  formatLine,
  hashValue,
  parseAnchor,
  parseLine,
  seal,
  verifyLog,
  type Anchor,
  type Entry,
  type Head,
} from '../../src/audit/index.js'
import { encodeRecord, hashRecord, type AuditRecord } from '../../src/audit/record.js'

const keys = { chain: new Uint8Array(32).fill(1), values: new Uint8Array(32).fill(2) }
const chainKey = keys.chain
const GENERATION = 'a'.repeat(32)
const NEXT = 'b'.repeat(32)

const entry = (more: Partial<Entry> = {}): Entry => ({
  at: 1_700_000_000_000,
  generation: GENERATION,
  request: '1'.repeat(32),
  actor: 'user',
  user: '11111111-1111-4111-8111-111111111111',
  apiKey: '2'.repeat(32),
  action: 'export',
  key: hashValue(keys.values, 'key', '02ab'),
  of: 0,
  outcome: 'begun',
  values: [['blob', hashValue(keys.values, 'blob', 'x')]],
  ...more,
})

const opening = entry({
  actor: 'server',
  request: '',
  user: '',
  apiKey: '',
  action: 'log_opened',
  key: '',
  outcome: 'done',
  values: [],
})

/** A log of these entries, and its head after each of them. */
function logOf(entries: readonly Entry[], from: Head = EMPTY) {
  const heads: Head[] = []
  const lines = entries.map((each) => {
    const sealed = seal(keys, heads.at(-1) ?? from, each)
    heads.push({ seq: sealed.record.seq, hash: sealed.hash })
    return formatLine(sealed)
  })
  return { lines, heads }
}

/** Opened, then two exports and a refused one, the last of them without an end. */
const entries = [
  opening,
  entry(),
  entry({ of: 2, outcome: 'done' }),
  entry({ request: '3'.repeat(32) }),
  entry({ request: '3'.repeat(32), of: 4, outcome: 'backup_key_unavailable' }),
  entry({ request: '4'.repeat(32) }),
]
const log = logOf(entries)
const anchor = (seq: number, generation = GENERATION): Anchor =>
  anchorOf(keys, log.heads[seq - 1]!, generation, 1_700_000_001_000)

/** The same line with a field changed, and what follows from it: nothing, or the hash too. */
function edited(line: string, change: object, rehash: boolean): string {
  const sealed = parseLine(line)!
  const record = { ...sealed.record, ...change }
  return formatLine({ ...sealed, record, hash: rehash ? hashRecord(record) : sealed.hash })
}

/** Another value for every field, each of a form that is allowed. */
const edits: { readonly [Field in keyof AuditRecord]: AuditRecord[Field] } = {
  seq: 77,
  at: 1_700_000_000_001,
  generation: NEXT,
  request: '9'.repeat(32),
  actor: 'admin',
  user: '99999999-1111-4111-8111-111111111111',
  apiKey: '9'.repeat(32),
  action: 'import',
  key: '9'.repeat(64),
  of: 1,
  outcome: 'failed',
  values: [],
  prev: '9'.repeat(64),
}
const fields = Object.keys(edits) as (keyof AuditRecord)[]

describe('the audit log', () => {
  it('of a database that was made from a bundle names the log that it follows', async () => {
    const values = [
      ['bundle', '5'.repeat(64)],
      ['audit_head', log.heads.at(-1)!.hash],
    ] as const
    const server = { actor: 'server', user: '', apiKey: '', key: '', request: '' } as const
    const restore = entry({ ...server, action: 'restore', outcome: 'done', values })
    const { lines } = logOf([opening, restore])
    expect(await verifyLog(lines, { chainKey, anchors: [anchor(3, NEXT)] })).toMatchObject({
      ok: true,
      unfinished: [],
      restores: [{ seq: 2, bundle: '5'.repeat(64), auditHead: log.heads.at(-1)!.hash }],
      foreign: [anchor(3, NEXT)],
    })
  })

  it('that nobody touched is found whole, with what has no end', async () => {
    expect(await verifyLog(log.lines, { chainKey, anchors: [anchor(3), anchor(5)] })).toEqual({
      ok: true,
      head: log.heads.at(-1),
      generation: GENERATION,
      keyed: true,
      unfinished: [6],
      anchored: 2,
      unanchored: 1,
      abandoned: [],
      foreign: [],
      restores: [],
    })
    expect(await verifyLog(log.lines)).toMatchObject({ ok: true, keyed: false, unanchored: 6 })
    expect(await verifyLog([], { chainKey })).toMatchObject({ ok: true, head: EMPTY })
  })

  for (const at of [2, 3, 6])
    for (const field of fields) {
      const line = (rehash: boolean) =>
        edited(log.lines[at - 1]!, { [field]: edits[field] }, rehash)
      const withLine = (rehash: boolean) => log.lines.with(at - 1, line(rehash))

      it(`shows that ${field} of record ${at} was changed`, async () => {
        expect(line(false)).not.toBe(log.lines[at - 1])
        const problem = field === 'seq' ? 'out_of_order' : 'changed'
        const expected = { ok: false, seq: at, problem }
        expect(await verifyLog(withLine(false), { chainKey })).toEqual(expected)
        expect(await verifyLog(withLine(false))).toEqual(expected)
      })

      it(`shows that ${field} of record ${at} and its hash were changed`, async () => {
        const problem = field === 'seq' ? 'out_of_order' : 'forged'
        expect(await verifyLog(withLine(true), { chainKey })).toEqual({
          ok: false,
          seq: at,
          problem,
        })
      })
    }

  it('shows a changed hash and a changed code', async () => {
    const sealed = parseLine(log.lines[2]!)!
    const check = (change: object) =>
      verifyLog(log.lines.with(2, formatLine({ ...sealed, ...change })), { chainKey })
    expect(await check({ hash: '0'.repeat(64) })).toMatchObject({ seq: 3, problem: 'changed' })
    expect(await check({ mac: '0'.repeat(64) })).toMatchObject({ seq: 3, problem: 'forged' })
  })

  it('without the key shows the record after one that was changed with its hash', async () => {
    const lines = log.lines.with(1, edited(log.lines[1]!, { values: [] }, true))
    expect(await verifyLog(lines)).toEqual({ ok: false, seq: 3, problem: 'not_linked' })
  })

  it('shows records that were taken out, put in twice, exchanged or put in from elsewhere', async () => {
    const { lines } = log
    const find = (changed: readonly string[]) => verifyLog(changed, { chainKey })
    expect(await find(lines.toSpliced(2, 1))).toMatchObject({ seq: 3, problem: 'out_of_order' })
    expect(await find(lines.toSpliced(2, 0, lines[1]!))).toMatchObject({ seq: 3 })
    expect(await find(lines.with(1, lines[2]!).with(2, lines[1]!))).toMatchObject({ seq: 2 })
    expect(await find(lines.slice(1))).toMatchObject({ seq: 1, problem: 'out_of_order' })
    const other = logOf([opening, entry({ request: '8'.repeat(32) }), ...entries.slice(2)])
    expect(await find(lines.with(1, other.lines[1]!))).toEqual({
      ok: false,
      seq: 3,
      problem: 'not_linked',
    })
  })

  it('takes only the one text of a record', async () => {
    const [, line] = log.lines
    for (const text of [
      '',
      'null',
      '[]',
      `${line} `,
      line!.replace('{', '{ '),
      line!.replace('"seq":2,', '"seq":2,"seq":2,'),
      line!.replace('"seq":2,', '"seq":2,"more":1,'),
      line!.replace('"request":"1', '"request":"A'),
      line!.replace('"outcome":"begun"', '"outcome":"be gun"'),
      line!.replace('.000Z', 'Z'),
      line!.replace('"of":0', '"of":-1'),
      line!.replace('"of":0', '"of":0.5'),
      line!.replace('"values":[["blob"', '"values":[["blob","x"'),
    ]) {
      expect(text).not.toBe(line)
      expect(await verifyLog(log.lines.with(1, text))).toEqual({
        ok: false,
        seq: 2,
        problem: 'malformed',
      })
    }
  })

  it('shows an end of what had not begun, had ended, or was something else', async () => {
    const begun = entry()
    const wrong: Entry[][] = [
      [opening, entry({ of: 1, outcome: 'done' })],
      [opening, begun, entry({ of: 3, outcome: 'done' })],
      [opening, begun, entry({ of: 2, outcome: 'begun' })],
      ...(['request', 'actor', 'user', 'apiKey', 'action', 'key'] as const).map((field) => [
        opening,
        begun,
        entry({ of: 2, outcome: 'done', [field]: edits[field] }),
      ]),
    ]
    for (const each of wrong)
      expect(await verifyLog(logOf(each).lines, { chainKey })).toEqual({
        ok: false,
        seq: each.length,
        problem: 'unpaired',
      })
    const twice = [opening, begun, ...Array<Entry>(2).fill(entry({ of: 2, outcome: 'done' }))]
    expect(await verifyLog(logOf(twice).lines)).toMatchObject({ seq: 4, problem: 'unpaired' })
  })

  it('lets the end name a key that did not exist at the beginning', async () => {
    const keygen = { action: 'keygen', values: [] }
    const lines = logOf([
      opening,
      entry({ ...keygen, key: '' }),
      entry({ ...keygen, of: 2, outcome: 'done' }),
    ])
    expect(await verifyLog(lines.lines, { chainKey })).toMatchObject({ ok: true, unfinished: [] })
  })

  const change = (generation: string): Entry => ({
    ...opening,
    action: 'generation_changed',
    generation,
  })

  it('follows a change of generation that says so, and shows one that does not', async () => {
    const find = async (more: Entry[]) => verifyLog(logOf([opening, ...more]).lines, { chainKey })
    const next = entry({ generation: NEXT })
    expect(await find([change(NEXT), next])).toMatchObject({ ok: true, generation: NEXT })
    const wrong = { ok: false, problem: 'wrong_generation' }
    expect(await find([next])).toMatchObject({ ...wrong, seq: 2 })
    expect(await find([change(GENERATION)])).toMatchObject({ ...wrong, seq: 2 })
    expect(await find([change(NEXT), change(GENERATION)])).toMatchObject({ ...wrong, seq: 3 })
    expect(await find([opening])).toMatchObject({ ...wrong, seq: 2 })
    expect(await verifyLog(logOf([entry()]).lines)).toMatchObject({ ...wrong, seq: 1 })
  })
})

describe('an anchor of the audit log', () => {
  const find = (lines: readonly string[], anchors: readonly Anchor[]) =>
    verifyLog(lines, { chainKey, anchors })

  it('shows that the end was cut off, which the log alone cannot', async () => {
    const lines = log.lines.slice(0, 3)
    expect(await find(lines, [])).toMatchObject({ ok: true })
    expect(await find(lines, [anchor(2), anchor(5)])).toEqual({
      ok: false,
      seq: 4,
      problem: 'cut_off',
    })
    expect(await find([], [anchor(1)])).toEqual({ ok: false, seq: 1, problem: 'cut_off' })
  })

  it('is not needed to see that the database is of a generation that the log does not know', async () => {
    const from = (lines: readonly string[], generation: string) =>
      verifyLog(lines, { chainKey, generation })
    expect(await from(log.lines, GENERATION)).toMatchObject({ ok: true })
    expect(await from(log.lines, NEXT)).toEqual({ ok: false, seq: 7, problem: 'cut_off' })
    expect(await from([], GENERATION)).toEqual({ ok: false, seq: 1, problem: 'cut_off' })
  })

  it('shows that the log was written anew by somebody who has the key', async () => {
    const anew = logOf([...entries.slice(0, 3), ...entries.slice(5)]).lines
    expect(await find(anew, [anchor(3)])).toMatchObject({ ok: true, anchored: 1 })
    expect(await find(anew, [anchor(4)])).toMatchObject({ seq: 4, problem: 'not_as_anchored' })
  })

  it('with any field changed is forged', async () => {
    const good = anchor(3)
    for (const [field, value] of Object.entries({
      seq: 4,
      at: good.at + 1,
      hash: '9'.repeat(64),
      mac: '9'.repeat(64),
    }))
      expect(await find(log.lines, [{ ...good, [field]: value }])).toMatchObject({
        ok: false,
        problem: 'anchor_forged',
      })
  })

  it('of a database that was lost has the code of another storage key, and is no forgery', async () => {
    const lost = anchorOf(
      { ...keys, chain: new Uint8Array(32).fill(9) },
      log.heads[4]!,
      NEXT,
      1_700_000_001_000,
    )
    expect(await find(log.lines, [lost, anchor(3)])).toMatchObject({
      ok: true,
      anchored: 1,
      foreign: [lost],
    })
    const ours = { ...lost, generation: GENERATION }
    expect(await find(log.lines, [ours])).toEqual({ ok: false, seq: 5, problem: 'anchor_forged' })
  })

  it('of records that a restored copy lost is told apart from one of records that were cut off', async () => {
    const restored = logOf(
      [{ ...opening, action: 'generation_changed', generation: NEXT }],
      log.heads[2],
    )
    const lines = [...log.lines.slice(0, 3), ...restored.lines]
    expect(await find(lines, [anchor(2), anchor(4), anchor(6)])).toMatchObject({
      ok: true,
      anchored: 1,
      unanchored: 2,
      abandoned: [anchor(4), anchor(6)],
    })
    // Of the new generation, in a place where the old one still was.
    expect(await find(lines, [anchor(2, NEXT)])).toMatchObject({
      seq: 2,
      problem: 'not_as_anchored',
    })
    expect(await find(lines, [anchor(6, NEXT)])).toMatchObject({ seq: 5, problem: 'cut_off' })
    const foreign = anchor(2, 'c'.repeat(32))
    expect(await find(lines, [foreign])).toMatchObject({ ok: true, foreign: [foreign] })
  })

  it('has one text', () => {
    const text = formatAnchor(anchor(3))
    expect(parseAnchor(text)).toEqual(anchor(3))
    for (const wrong of ['', '{}', `${text} `, text.replace('{', '{"anchor":3,')])
      expect(parseAnchor(wrong)).toBeUndefined()
  })
})

describe('the encoding of a record', () => {
  it('is frozen', () => {
    expect(log.lines[1]).toMatchInlineSnapshot(
      `"{"seq":2,"at":"2023-11-14T22:13:20.000Z","generation":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","request":"11111111111111111111111111111111","actor":"user","user":"11111111-1111-4111-8111-111111111111","api_key":"22222222222222222222222222222222","action":"export","key":"8caf64980e90a8d673bbab842b2574b51ec56d69ff082daa2f1d7bc5352ec215","of":0,"outcome":"begun","values":[["blob","3ccd5a1102baef54a1887e46c0c09a3e2ea642ffa57e0d18a3d3dbab61ef91dd"]],"prev":"d80bbcb992a9f46909011314163f02acd3739ab8eee8ceccd95a939d3362c5bc","hash":"ec009cc0821454e4707945268fd6acfdf467e66cfa13eb4bc6722d90c7003cea","mac":"b4f1eefd882f3de8bdf6c06bddd8f3012291e7fa5a90882bb7cf7932574234c0"}"`,
    )
    expect(formatAnchor(anchor(2))).toMatchInlineSnapshot(
      `"{"anchor":2,"at":"2023-11-14T22:13:21.000Z","generation":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","hash":"ec009cc0821454e4707945268fd6acfdf467e66cfa13eb4bc6722d90c7003cea","mac":"50ff9801a89eaf2a44c454b726328b65ef8e085572293901950874ce8ebf9eae"}"`,
    )
  })

  it('has every item after its length, so that no two records share one', () => {
    const at = (record: AuditRecord) => Buffer.from(encodeRecord(record)).toString('hex')
    const { record } = parseLine(log.lines[1]!)!
    const apart = [
      { ...record, user: 'a', apiKey: 'bc' },
      { ...record, user: 'ab', apiKey: 'c' },
      { ...record, values: [], outcome: 'x' },
      { ...record, values: [['x', '']] as const, outcome: '' },
      ...fields.map((field) => ({ ...record, [field]: edits[field] })),
      record,
    ]
    expect(new Set(apart.map(at)).size).toBe(apart.length)
  })

  it('hides values under a key, each under its name', () => {
    const key = keys.values
    expect(hashValue(key, 'name', 'v')).not.toBe(hashValue(key, 'other', 'v'))
    expect(hashValue(key, 'name', 'v')).not.toBe(hashValue(keys.chain, 'name', 'v'))
    const length = (n: number) => Buffer.from([0, 0, 0, 0, 0, 0, 0, n])
    const hmac = createHmac('sha256', key)
    for (const item of ['vertex/v1/audit-value', 'name', 'v'])
      hmac.update(length(item.length)).update(item)
    expect(hashValue(key, 'name', 'v')).toBe(hmac.digest('hex'))
  })
})
