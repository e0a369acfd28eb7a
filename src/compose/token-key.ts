import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto'

const BITS = 3072
/** Of a modulus, 2,048 to 4,096 bits. */
const MIN_BYTES = 256
const MAX_BYTES = 512

/** A new key that issues tokens: both halves as PEM. docs/spec/keyserver.md, section 7 */
export function makeTokenKey(): { readonly privatePem: string; readonly publicPem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: BITS,
    publicKeyEncoding: { format: 'pem', type: 'spki' },
    privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
  })
  return { privatePem: privateKey, publicPem: publicKey }
}

/** Something that cannot be signed, or no key to sign with. */
export class TokenKeyError extends Error {
  override readonly name = 'TokenKeyError'
}

/**
 * Signs what others have blinded: BlindSign of RFC 9474, section 4.3, which is RSASP1 and a look whether it was done
 * right. By OpenSSL, whose time does not depend on the key.
 * @param blinded base64
 * @returns base64, in the same order
 * @throws TokenKeyError
 */
export function signTokens(privatePem: string, blinded: readonly string[]): readonly string[] {
  let key: ReturnType<typeof createPrivateKey>
  try {
    key = createPrivateKey(privatePem)
  } catch {
    throw new TokenKeyError('the token key is not a private key in PEM')
  }
  const bytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  if (key.asymmetricKeyType !== 'rsa' || bytes < MIN_BYTES || bytes > MAX_BYTES)
    throw new TokenKeyError('the token key must be RSA of 2048 to 4096 bits')
  const padding = constants.RSA_NO_PADDING
  return blinded.map((text, i) => {
    const given = Buffer.from(text, 'base64')
    if (given.length !== bytes || given.toString('base64') !== text)
      throw new TokenKeyError(`line ${i + 1} is not base64 of ${bytes} bytes`)
    try {
      const signed = privateDecrypt({ key, padding }, given)
      // A signature that was computed wrongly could give the key away.
      if (!publicEncrypt({ key: createPublicKey(key), padding }, signed).equals(given))
        throw new TokenKeyError('a signature was computed wrongly: nothing is given out')
      return signed.toString('base64')
    } catch (error) {
      if (error instanceof TokenKeyError) throw error
      throw new TokenKeyError(`line ${i + 1} is not a number below the modulus of the key`)
    }
  })
}
