import {
  checkKeyInit,
  currentOf,
  followingEntries,
  isServerSignature,
  makeKeyInit,
  makeUid,
  newUidSecrets,
  openReply,
  signedOfReply,
  toBase64,
  uidHashIn,
  uidReply,
  type FoundMessage,
  type UidMessage,
  type UidSecrets,
} from '@vertex/directory/keyserver'
import { ed25519 } from '@noble/curves/ed25519.js'
import { DOMAIN, type TestKeyserver } from './server.js'

/** Somebody who uses a keyserver, and keeps a copy of its chain. */
export class Client {
  readonly entries: string[] = []
  constructor(private readonly server: TestKeyserver) {}

  get now(): number {
    return Math.floor(this.server.clock.ms / 1000)
  }

  /** In parts, as the use case has it. */
  async sync(part = 2): Promise<string> {
    for (;;) {
      const { HCPos } = await this.server.call('KeyHashchain.FetchLastHashChain')
      if (this.entries.length > HCPos) break
      const start = this.entries.length
      const { HCEntries, HCFirstPos } = await this.server.call('KeyRepository.FetchHashChain', {
        StartPosition: start,
        EndPosition: start + part - 1,
      })
      if (HCFirstPos !== start) throw new Error('another part was given')
      this.entries.push(...(HCEntries as string[]))
    }
    followingEntries(this.entries)
    return this.entries.at(-1)!
  }

  /** All messages of a name, opened, their signatures by the keyserver checked. */
  async find(identity: string): Promise<FoundMessage[]> {
    const found: FoundMessage[] = []
    for (const [position, entry] of followingEntries(this.entries).entries()) {
      const uidHash = uidHashIn(entry, identity)
      if (uidHash === undefined) continue
      const { UIDMessageReply } = await this.server.call('KeyRepository.FetchUID', {
        UIDIndex: toBase64(entry.uidIndex),
      })
      const reply = uidReply(UIDMessageReply, 'UIDMessageReply')
      const expected = { entry: this.entries[position]!, position, uidHash }
      const checked = openReply(reply, expected)
      const key = this.server.keyserver.keys.publicKey
      if (!isServerSignature(reply.SERVERSIGNATURE, key, signedOfReply(reply)))
        throw new Error('the keyserver has not signed this')
      found.push({ position, checked })
    }
    return found
  }

  async current(identity: string): Promise<UidMessage> {
    const last = currentOf(await this.find(identity), this.now)
    if (last === undefined) throw new Error('nobody has this name')
    return last.checked.message
  }
}

/** Somebody with a name. */
export class Owner extends Client {
  secrets: UidSecrets = newUidSecrets()
  constructor(
    private readonly at: TestKeyserver,
    readonly name: string,
  ) {
    super(at)
  }

  get identity(): string {
    return `${this.name}@${DOMAIN}`
  }

  get sigPubKey(): string {
    return toBase64(ed25519.getPublicKey(this.secrets.sigKey))
  }

  async make(more: Partial<Parameters<typeof makeUid>[1]> = {}): Promise<UidMessage> {
    const lastEntry = await this.sync(1000)
    return makeUid(this.secrets, { identity: this.identity, lastEntry, now: this.now, ...more })
  }

  async register(more: Partial<Parameters<typeof makeUid>[1]> = {}): Promise<UidMessage> {
    const UIDMessage = await this.make(more)
    await this.at.call('KeyRepository.CreateUID', { UIDMessage, Token: '' })
    return UIDMessage
  }

  keyInits(count: number, more: Partial<Parameters<typeof makeKeyInit>[1]> = {}) {
    return Array.from({ length: count }, () =>
      makeKeyInit(this.secrets.sigKey, { repoUri: DOMAIN, now: this.now, ...more }),
    )
  }

  async publish(count: number, more: Partial<Parameters<typeof makeKeyInit>[1]> = {}) {
    const made = this.keyInits(count, more)
    const KeyInits = made.map(({ keyInit }) => keyInit)
    await this.at.call('KeyInitRepository.AddKeyInit', { SigPubKey: this.sigPubKey, KeyInits })
    return made
  }

  check(text: string) {
    const expected = { sigPubKey: this.sigPubKey, repoUris: [DOMAIN], now: this.now }
    return checkKeyInit(JSON.parse(text), expected)
  }
}
