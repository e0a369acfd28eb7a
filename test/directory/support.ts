import { randomBytes } from 'node:crypto'
import {
  primaryOfSigner,
  signEvent,
  type CheckedEvent,
  type Head,
  type Op,
  type Signer,
} from '@vertex/directory/sigchain'
import { append } from '../../src/directory/sigchain/store.js'
import type { UnitStore } from '../../src/store/index.js'

export const somebody = (): Signer => ({
  scheme: 'ed25519',
  secret: new Uint8Array(randomBytes(32)),
})

export const primaryTextOf = (signer: Signer) => primaryOfSigner(signer).text

const createdAt = '2026-05-24T19:00:00Z'

/** A party that writes its chain straight into the rows of a directory: also what no route would take. */
export class Writer {
  head: Head | undefined
  constructor(
    private readonly store: UnitStore,
    readonly signer: Signer = somebody(),
  ) {}

  get primary(): string {
    return primaryTextOf(this.signer)
  }

  add(...subjects: string[]) {
    return this.#say('add', subjects)
  }

  revoke(...subjects: string[]) {
    return this.#say('revoke', subjects)
  }

  async #say(op: Op, subjects: string[]): Promise<void> {
    for (const subject of subjects) {
      const { bytes, event } = signEvent(this.signer, this.head, { op, subject, createdAt })
      await this.keep(event, new TextDecoder().decode(bytes))
      this.head = event
    }
  }

  /** Keeps a row, whatever is in it. */
  async keep(event: CheckedEvent, text: string): Promise<void> {
    const primary = primaryOfSigner(this.signer)
    await this.store.inUnit((unit) => append(unit, primary, event, { text, at: 1 }))
  }

  /** The next event of this chain, as somebody else would sign it in this party's name. */
  async forge(by: Signer, subject: string): Promise<void> {
    const { bytes, event } = signEvent(by, undefined, { op: 'add', subject, createdAt })
    const envelope = JSON.parse(new TextDecoder().decode(bytes)) as {
      payload: { primary: string; seq: number; prev?: string }
      signature: { key: string }
    }
    envelope.payload.primary = this.primary
    envelope.signature.key = this.primary
    if (this.head !== undefined) {
      envelope.payload.seq = this.head.seq + 1
      envelope.payload.prev = this.head.hash
    }
    await this.keep({ ...event, seq: envelope.payload.seq }, JSON.stringify(envelope))
  }
}
