import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  sign,
  type KeyObject,
} from 'node:crypto'
import { toBase64, type UidSecrets } from '@vertex/directory/keyserver'

/** An Ed25519 seed as PKCS #8, up to the seed (RFC 8410). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** What the keyserver has of its seed, for one chain. docs/spec/keyserver.md, 9.1 */
export class KeyserverKeys {
  /** Base64 of 32 bytes. */
  readonly publicKey: string
  readonly #sign: KeyObject
  readonly #names: Uint8Array
  readonly #own: UidSecrets

  constructor(seed: Uint8Array, chainId: string) {
    const derived = (what: string) =>
      new Uint8Array(hkdfSync('sha256', seed, 'vertex/v1/keyserver', `${what} ${chainId}`, 32))
    const sigKey = derived('sign')
    this.#own = { sigKey, encryption: derived('agree') }
    const der = Buffer.concat([ED25519_PKCS8, sigKey])
    this.#sign = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const spki = createPublicKey(this.#sign).export({ format: 'der', type: 'spki' })
    this.publicKey = toBase64(new Uint8Array(spki.subarray(-32)))
    this.#names = derived('names')
  }

  /** Base64. */
  sign(bytes: Uint8Array): string {
    return sign(null, bytes, this.#sign).toString('base64')
  }

  /** What stands in the tables in place of a name. 9.3 */
  tagOf(identity: string): string {
    return createHmac('sha256', this.#names).update(identity).digest('hex')
  }

  /** For the keyserver's own messages. */
  own(): UidSecrets {
    return this.#own
  }
}
