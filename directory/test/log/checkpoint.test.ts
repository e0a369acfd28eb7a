import { describe, expect, it } from 'vitest'
import {
  cosign,
  cosignedAt,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../src/log/checkpoint.js'
import { leafHash } from '../../src/log/merkle.js'
import { COSIGNATURE, parseNote, signNote, toBase64, verifierOf } from '../../src/log/note.js'
import { formatLogProof, parseLogProof } from '../../src/log/proof-text.js'
import { encodeExtra } from '../../src/log/entry.js'

/** The example of C2SP tlog-cosignature. Its keys are not published, so only its form can be checked. */
const example = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`
const log = { name: 'v.example/log', seed: new Uint8Array(32).fill(3) }
const witness = { name: 'w.example', seed: new Uint8Array(32).fill(4) }
const root = leafHash(Uint8Array.of(1))
const signed = signCheckpoint({ size: 1, root }, log)
const key = verifierOf(log)

describe('checkpoints', () => {
  it('of the specification are read', () => {
    const read = parseCheckpoint(example)!
    expect(read).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163 })
    expect(toBase64(read.root)).toBe('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=')
    expect(read.note.signatures.map(({ name }) => name)).toEqual([
      'example.com/behind-the-sofa',
      'witness.example.com/w1',
    ])
  })

  it('are signed and opened', () => {
    expect(openCheckpoint(signed, key)).toMatchObject({ origin: 'v.example/log', size: 1, root })
  })

  it('are not opened with another size or root than were signed', () => {
    expect(openCheckpoint(signed.replace('\n1\n', '\n2\n'), key)).toBeUndefined()
    const other = toBase64(leafHash(Uint8Array.of(2)))
    expect(openCheckpoint(signed.replace(toBase64(root), other), key)).toBeUndefined()
  })

  it('of another origin are not this log’s, even when its key has signed them', () => {
    const note = signNote(`other.example/log\n1\n${toBase64(root)}\n`, log)
    expect(parseCheckpoint(note)).toBeDefined()
    expect(openCheckpoint(note, key)).toBeUndefined()
  })

  it('of another key are not this log’s', () => {
    const imitated = signCheckpoint({ size: 1, root }, { ...log, seed: witness.seed })
    expect(openCheckpoint(imitated, key)).toBeUndefined()
  })

  it.each([
    ['a leading zero', `o\n01\n${toBase64(root)}\n`],
    ['no number', `o\n1e3\n${toBase64(root)}\n`],
    ['a size beyond 2⁵³', `o\n9007199254740993\n${toBase64(root)}\n`],
    ['a negative size', `o\n-1\n${toBase64(root)}\n`],
    ['no root', 'o\n1\n'],
    ['too short a root', `o\n1\n${toBase64(root.slice(1))}\n`],
    ['no origin', `\n1\n${toBase64(root)}\n`],
    ['an empty line after the root', `o\n1\n${toBase64(root)}\n\nmore\n`],
  ])('with %s are none', (_, text) => {
    const note = signNote(text, log)
    expect(parseNote(note)).toBeDefined()
    expect(parseCheckpoint(note)).toBeUndefined()
  })

  it('may have further lines, which are signed with them', () => {
    const note = signNote(`v.example/log\n1\n${toBase64(root)}\nmore\n`, log)
    expect(openCheckpoint(note, key)?.size).toBe(1)
    expect(openCheckpoint(note.replace('more', 'less'), key)).toBeUndefined()
  })
})

describe('cosignatures', () => {
  const cosigner = verifierOf(witness, COSIGNATURE)
  const line = cosign(parseCheckpoint(signed)!, witness, 1_700_000_000)
  const cosigned = parseCheckpoint(`${signed}${line}\n`)!

  it('say when a witness has checked it', () => {
    expect(cosignedAt(cosigned, cosigner)).toBe(1_700_000_000)
    expect(openCheckpoint(`${signed}${line}\n`, key)?.size).toBe(1)
    expect(cosignedAt(parseCheckpoint(signed)!, cosigner)).toBeUndefined()
  })

  it('do not verify on another checkpoint', () => {
    const other = signCheckpoint({ size: 2, root }, log)
    expect(cosignedAt(parseCheckpoint(`${other}${line}\n`)!, cosigner)).toBe('forged')
  })

  it('do not verify with another time', () => {
    const bytes = Buffer.from(line.split(' ')[2]!, 'base64')
    bytes[11]! ^= 1
    const later = parseCheckpoint(`${signed}— w.example ${bytes.toString('base64')}\n`)!
    expect(cosignedAt(later, cosigner)).toBe('forged')
  })

  it('are not what the witness’s key signs as a note', () => {
    const note = signNote(cosigned.note.text, witness)
    const asNote = note.split('\n').at(-2)!
    expect(cosignedAt(parseCheckpoint(`${signed}${asNote}\n`)!, cosigner)).toBeUndefined()
  })
})

describe('a proof that stands by itself', () => {
  const hashes = [leafHash(Uint8Array.of(5)), leafHash(Uint8Array.of(6))]
  const extra = encodeExtra(new Uint8Array(32).fill(9), 1_700_000_000_123)
  const text = formatLogProof({ extra, index: 7, hashes }, signed)

  it('is read back', () => {
    expect(parseLogProof(text)).toMatchObject({ extra, index: 7, hashes, checkpoint: { size: 1 } })
    const bare = formatLogProof({ extra: new Uint8Array(), index: 0, hashes: [] }, signed)
    expect(bare.startsWith('c2sp.org/tlog-proof@v1\nindex 0\n\nv.example/log\n')).toBe(true)
    expect(parseLogProof(bare)).toMatchObject({ index: 0, hashes: [] })
  })

  it.each([
    ['another version', text.replace('@v1', '@v2')],
    ['no index', text.replace(/index 7\n/, '')],
    ['an index with a leading zero', text.replace('index 7', 'index 07')],
    ['an index beyond 2⁵³', text.replace('index 7', 'index 9999999999999999')],
    ['a hash that is none', text.replace(toBase64(hashes[0]!), 'AAAA')],
    ['nothing after extra', text.replace(/extra .*\n/, 'extra \n')],
    ['no checkpoint', text.slice(0, text.indexOf('\n\n') + 2)],
    ['no empty line', text.replace('\n\n', '\n')],
    [
      'more hashes than a tree has levels',
      text.replace('\n\n', `\n${toBase64(root)}`.repeat(64) + '\n\n'),
    ],
  ])('with %s is none', (_, bad) => {
    expect(bad === text).toBe(false)
    expect(parseLogProof(bad)).toBeUndefined()
  })
})
