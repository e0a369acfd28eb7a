import {
  agreementKey,
  checkKeyInit,
  currentOf,
  fromBase64,
  KeyserverRefusal,
  mappedIdentity,
  parsed,
  sigKeyHash,
  type UidMessage,
} from '@vertex/directory/keyserver'
import type { NameKey, NamePort } from '../../vault/ports.js'
import { byOpenssl } from '../equation.js'
import type { Keyserver } from './keyserver.js'

/** Checking takes time, and anybody may have a name. */
const MAX_MESSAGES = 200

/** The names of this server's own chain, as far as the vault relies on them. docs/spec/keyserver.md, section 10 */
export class Names implements NamePort {
  constructor(
    private readonly keyserver: Keyserver,
    /** Milliseconds since 1970. */
    private readonly now: () => number,
  ) {}

  async keyFor(name: string): Promise<NameKey> {
    try {
      const { text } = mappedIdentity(name)
      const found = await this.keyserver.messagesOf(text, MAX_MESSAGES)
      if (found === undefined) return { problem: 'broken' }
      const now = Math.floor(this.now() / 1000)
      const last = currentOf(found, now, byOpenssl)
      return last === undefined
        ? { problem: 'unknown' }
        : await this.#keyOf(last.checked.message, now)
    } catch (error) {
      if (!(error instanceof KeyserverRefusal)) throw error
      return { problem: error.reason === 'malformed' ? 'no_name' : 'broken' }
    }
  }

  /** 10.1, 10.2 */
  async #keyOf({ UIDContent: uid }: UidMessage, now: number): Promise<NameKey> {
    const sigPubKey = uid.SIGKEY.PUBKEY
    const { FORWARDSEC: preference } = uid.PREFERENCES
    const given = await this.keyserver.dispense(sigKeyHash(fromBase64(sigPubKey)!))
    if (given !== undefined) {
      if (given.fallback && preference === 'strict') return { problem: 'no_key' }
      const expected = { sigPubKey, repoUris: this.keyserver.settings.domains, now }
      const value = parsed(new TextEncoder().encode(given.keyInit))
      const { anchor } = checkKeyInit(value, expected, byOpenssl)
      const key = agreementKey(anchor.PFKEYS)
      return key === undefined ? { problem: 'no_key' } : { key, keyInit: given.keyInit }
    }
    const key = preference === 'optional' ? agreementKey(uid.PUBKEYS) : undefined
    return key === undefined ? { problem: 'no_key' } : { key, keyInit: null }
  }
}
