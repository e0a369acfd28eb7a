import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import {
  COSIGNATURE,
  ED25519,
  formatVerifierKey,
  fromBase64,
  keyIdOf,
  parseNote,
  parseVerifierKey,
  signNote,
  toBase64,
  verifierOf,
  verifyNote,
  type Note,
} from '../../src/log/note.js'

/** The example of C2SP signed-note. */
const example = {
  key: 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
  note: 'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n',
}
const alice = { name: 'a.example/log', seed: new Uint8Array(32).fill(1) }
const bob = { name: 'b.example', seed: new Uint8Array(32).fill(2) }
const text = 'first\n\nthird\n'
const signed = signNote(text, alice)
const parsed = (note: string): Note => parseNote(note)!

describe('signed notes', () => {
  it('of the specification verify', () => {
    const key = parseVerifierKey(example.key)!
    expect(key).toMatchObject({ name: 'example.com/foo', keyId: '530d903a', type: ED25519 })
    expect(formatVerifierKey(key)).toBe(example.key)
    expect(verifyNote(parsed(example.note), [key])).toEqual([key])
  })

  it('are read back, an empty line in the text included', () => {
    const note = parsed(signed)
    expect(note.text).toBe(text)
    expect(verifyNote(note, [verifierOf(alice)])).toEqual([verifierOf(alice)])
  })

  it('of which a letter of the text is another do not verify', () => {
    expect(
      verifyNote(parsed(signed.replace('third', 'thirt')), [verifierOf(alice)]),
    ).toBeUndefined()
    expect(
      verifyNote(parsed(example.note.replace('an', 'no')), [parseVerifierKey(example.key)!]),
    ).toBeUndefined()
  })

  it('are nothing without a known signature', () => {
    expect(verifyNote(parsed(signed), [verifierOf(bob)])).toBeUndefined()
    expect(verifyNote(parsed(signed), [])).toBeUndefined()
  })

  it('keep signatures that nobody here knows, beside one that is known', () => {
    const both = signed + signNote(text, bob).split('\n').at(-2)! + '\n'
    expect(verifyNote(parsed(both), [verifierOf(alice)])).toEqual([verifierOf(alice)])
    expect(verifyNote(parsed(both), [verifierOf(bob), verifierOf(alice)])).toHaveLength(2)
  })

  it('are refused when a known key has signed something else, whoever else has signed', () => {
    const forged = signed + signNote('other\n', bob).split('\n').at(-2)! + '\n'
    expect(verifyNote(parsed(forged), [verifierOf(alice)])).toHaveLength(1)
    expect(verifyNote(parsed(forged), [verifierOf(alice), verifierOf(bob)])).toBeUndefined()
  })

  it('do not take a key of the same name, or of the same ID, for another', () => {
    const impostor = { name: alice.name, seed: bob.seed }
    expect(verifyNote(parsed(signNote(text, impostor)), [verifierOf(alice)])).toBeUndefined()
    const relabelled = signed.replace('— a.example/log', '— b.example')
    expect(verifyNote(parsed(relabelled), [verifierOf(alice)])).toBeUndefined()
    // The same key under both names: the ID of the one with the name of the other is known to nobody.
    const twin = verifierOf({ name: 'b.example', seed: alice.seed })
    expect(verifyNote(parsed(relabelled), [twin])).toBeUndefined()
  })

  it('are not verified with a cosignature key', () => {
    const key = { ...verifierOf(alice), type: COSIGNATURE } as const
    expect(verifyNote(parsed(signed), [key])).toBeUndefined()
  })

  it('do not verify under a key of small order, for which there is a signature of everything', () => {
    const publicKey = new Uint8Array(32)
    publicKey[0] = 1
    const keyId = keyIdOf('x', ED25519, publicKey)
    const signature = new Uint8Array(64)
    signature[0] = 1
    const line = `— x ${toBase64(Buffer.concat([Buffer.from(keyId, 'hex'), signature]))}`
    const note = parsed(`anything\n\n${line}\n`)
    expect(verifyNote(note, [{ name: 'x', keyId, type: ED25519, publicKey }])).toBeUndefined()
  })

  it('do not verify with the second encoding of a signature', () => {
    const note = parsed(signed)
    const [one] = note.signatures
    const order = ed25519.Point.Fn.ORDER
    const s = BigInt('0x' + Buffer.from(one!.signature.slice(32).reverse()).toString('hex')) + order
    const bytes = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
    const signature = new Uint8Array([...one!.signature.slice(0, 32), ...bytes])
    expect(
      verifyNote({ ...note, signatures: [{ ...one!, signature }] }, [verifierOf(alice)]),
    ).toBeUndefined()
  })

  it.each([
    ['no line end', signed.slice(0, -1)],
    ['no signature', 'text\n\n'],
    ['no empty line', `text\n${signed.split('\n').at(-2)!}\n`],
    ['no text', `\n${signed.split('\n').at(-2)!}\n`],
    ['another dash', signed.replace('—', '-')],
    ['a control character', signed.replace('third', 'th\tird')],
    ['a carriage return', signed.replaceAll('\n', '\r\n')],
    ['what was no UTF-8', signed.replace('third', 'th\ufffdird')],
    ['half a character', signed.replace('third', 'th\ud800ird')],
    ['two spaces', signed.replace('— ', '—  ')],
    ['a plus in a name', signed.replace('a.example', 'a+example')],
    ['a space in a name', signed.replace('a.example', 'a example')],
    ['base64 without padding', signed.replace(/=+\n$/, '\n')],
    ['too short a signature', 'text\n\n— x AAAAAA==\n'],
    ['more than 16 KiB', `${'x'.repeat(17_000)}${signed}`],
    ['more than 64 signatures', signed + (signed.split('\n').at(-2)! + '\n').repeat(64)],
  ])('with %s are none', (_, note) => {
    expect(note === signed).toBe(false)
    expect(parseNote(note)).toBeUndefined()
  })

  it('cannot be made of what would not be read back', () => {
    expect(() => signNote('no end', alice)).toThrow(RangeError)
    expect(() => signNote('a\tb\n', alice)).toThrow(RangeError)
    expect(() => signNote(text, { ...alice, name: 'with space' })).toThrow(RangeError)
  })
})

describe('verifier keys', () => {
  const key = formatVerifierKey(verifierOf(alice))
  it.each([
    ['another name', key.replace('a.example', 'c.example')],
    ['another ID', key.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
    [
      'another public key',
      formatVerifierKey({ ...verifierOf(alice), publicKey: verifierOf(bob).publicKey }),
    ],
    ['another type', formatVerifierKey({ ...verifierOf(alice), type: COSIGNATURE })],
    ['capitals in the ID', key.replace(/\+[0-9a-f]{8}\+/, (id) => id.toUpperCase())],
    ['no name', key.slice(key.indexOf('+'))],
    ['a space after it', `${key} `],
    ['nothing', ''],
  ])('with %s are none', (_, text) => {
    expect(text === key).toBe(false)
    expect(parseVerifierKey(text)).toBeUndefined()
  })

  it('of cosigners are read too', () => {
    const witness = verifierOf(bob, COSIGNATURE)
    expect(parseVerifierKey(formatVerifierKey(witness))).toEqual(witness)
    expect(witness.keyId).not.toBe(verifierOf(bob).keyId)
  })
})

describe('base64', () => {
  it.each(['AA', 'AA=', 'AB==', 'AA==\n', 'A===', 'AA-_', ' AA==', 'AA==AA=='])(
    'is not %j',
    (text) => {
      expect(fromBase64(text)).toBeUndefined()
    },
  )
})
