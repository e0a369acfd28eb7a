import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto'
import { KeyserverRefusal } from '@vertex/directory/keyserver'
import { splitToken, type TokenParts } from '@vertex/directory/tokens'
import { toHex } from '../../store/columns.js'
import type { Unit } from '../../store/index.js'
import { TOKENS, type TokenRow } from './tables.js'

const MIN_BITS = 2048
const MAX_BITS = 4096

/** What tokens are checked with. docs/spec/keyserver.md, section 7 */
export class TokenKeys {
  /** TKNPUBKEY; empty where nothing has to be paid. */
  readonly shown: string
  readonly #keys: readonly KeyObject[]

  /** @param pems the one for new tokens first @throws RangeError for what is no RSA key of a good size */
  constructor(pems: readonly string[]) {
    this.#keys = pems.map((pem) => {
      const key = createPublicKey(pem)
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
      if (key.asymmetricKeyType !== 'rsa' || bits < MIN_BITS || bits > MAX_BITS)
        throw new RangeError(`a token key is RSA of ${MIN_BITS} to ${MAX_BITS} bits`)
      return key
    })
    this.shown = this.#keys[0]?.export({ format: 'der', type: 'spki' }).toString('base64') ?? ''
  }

  /** The first of these that is good, and has to be used up; undefined where nothing has to be paid. */
  firstGood(tokens: readonly string[]): string | undefined {
    if (this.#keys.length === 0) return undefined
    for (const token of tokens) {
      const parts = splitToken(token)
      if (parts !== undefined && this.#keys.some((key) => isBy(key, parts)))
        return toHex(parts.random)
    }
    throw new KeyserverRefusal('payment', 'a payment token is needed, and none of these is good')
  }
}

function isBy(key: KeyObject, { message, signature }: TokenParts): boolean {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
  return verify('sha384', message, { key, ...pss }, signature)
}

/** In the unit that does what is paid for, which has the chain for itself. @throws KeyserverRefusal */
export async function useUp(unit: Unit, token: string | undefined, at: number): Promise<void> {
  if (token === undefined) return
  const before = await unit.verb((manager) => manager.findOneBy<TokenRow>(TOKENS, { token }))
  if (before !== null) throw new KeyserverRefusal('payment', 'the payment token was used before')
  await unit.verb((manager) => manager.insert<TokenRow>(TOKENS, { token, usedAt: at }))
}
