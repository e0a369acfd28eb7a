import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Something in which no secret may stand: a stream, a file, all rows of a table. */
export interface Place {
  readonly name: string
  readonly bytes: Buffer
}

/** So many bytes of a secret in a row are a find, whatever is around them. */
const WINDOW = 32

interface Needle {
  readonly secret: string
  readonly encoding: string
  readonly bytes: Buffer
}

/** Looks for known secrets, in every form in which a careless line could have written them. */
export class Canaries {
  readonly #needles: Needle[] = []

  /** From now on this is looked for. Long ones are known by any of their parts. */
  add(secret: string, value: Uint8Array | string): void {
    const bytes = Buffer.from(value)
    if (bytes.length < 16) throw new Error(`${secret} is too short to tell it from chance`)
    const most = Math.max(0, bytes.length - WINDOW)
    for (let at = 0; at <= most; at = at === most ? most + 1 : Math.min(at + WINDOW, most))
      for (const [encoding, form] of formsOf(bytes.subarray(at, at + WINDOW)))
        this.#needles.push({ secret, encoding, bytes: form })
  }

  get secrets(): readonly string[] {
    return [...new Set(this.#needles.map(({ secret }) => secret))]
  }

  /** Where which secret stands, and how it is written there. */
  find(places: readonly Place[]): string[] {
    // All needles in one pass: few places begin as a needle does.
    const byStart = new Map<number, Needle[]>()
    const begins = new Uint8Array(1 << 24)
    for (const needle of this.#needles) {
      const start = needle.bytes.readUIntBE(0, 3)
      begins[start] = 1
      byStart.set(start, [...(byStart.get(start) ?? []), needle])
    }
    const found = new Set<string>()
    for (const { name, bytes } of places)
      for (let at = 0; at + 2 < bytes.length; at++) {
        const start = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
        if (begins[start] === 0) continue
        for (const needle of byStart.get(start)!)
          if (bytes.subarray(at, at + needle.bytes.length).equals(needle.bytes))
            found.add(`${needle.secret} as ${needle.encoding} in ${name}`)
      }
    return [...found]
  }
}

/** The ways to write bytes down. Of base64, what does not depend on its neighbours, at each of three positions. */
export function formsOf(bytes: Buffer): [encoding: string, form: Buffer][] {
  const forms: [string, Buffer][] = []
  for (const [order, ordered] of [
    ['', bytes],
    [' backwards', Buffer.from(bytes).reverse()],
  ] as const) {
    const hex = ordered.toString('hex')
    forms.push(
      [`bytes${order}`, ordered],
      [`hex${order}`, Buffer.from(hex)],
      [`HEX${order}`, Buffer.from(hex.toUpperCase())],
      [`hex with spaces${order}`, Buffer.from(hex.replace(/..(?=.)/g, '$& '))],
      [`a decimal number${order}`, Buffer.from(BigInt(`0x${hex}`).toString())],
      [`a list of decimals${order}`, Buffer.from(ordered.join(','))],
      [`a list of decimals with spaces${order}`, Buffer.from(ordered.join(', '))],
    )
    for (const offset of [0, 1, 2]) {
      const padded = Buffer.concat([Buffer.alloc(offset), ordered]).toString('base64')
      const own = padded.slice([0, 2, 3][offset], Math.floor(((offset + ordered.length) * 8) / 6))
      forms.push(
        [`base64${order}`, Buffer.from(own)],
        [`base64url${order}`, Buffer.from(own.replaceAll('+', '-').replaceAll('/', '_'))],
      )
    }
  }
  return forms
}

/** Every file below a folder, but for some. */
export function filesIn(folder: string, except: (path: string) => boolean = () => false): Place[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !except(path))
    .flatMap((name) => {
      try {
        return [{ name, bytes: readFileSync(name) }]
      } catch {
        return [] // A database at work removes files of its own.
      }
    })
}

/** Rows of a database as text, and what is binary in them as it is. */
export function rowsOf(name: string, rows: readonly Record<string, unknown>[]): Place {
  const parts = rows
    .flatMap((row) => Object.values(row))
    .map((value) =>
      Buffer.isBuffer(value)
        ? value
        : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    )
  return { name, bytes: Buffer.concat(parts.flatMap((part) => [part, Buffer.from('\n')])) }
}
