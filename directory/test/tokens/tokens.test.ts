import { constants, generateKeyPairSync, privateDecrypt, verify, webcrypto } from 'node:crypto'
import { RSABSSA } from '@cloudflare/blindrsa-ts'
import { expect, it } from 'vitest'
import { finishTokens, prepareTokens, splitToken } from '@vertex/directory/tokens'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const tokenKey = publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
const raw = (blinded: string) =>
  privateDecrypt(
    { key: privateKey, padding: constants.RSA_NO_PADDING },
    Buffer.from(blinded, 'base64'),
  ).toString('base64')
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 } as const

it('makes tokens that OpenSSL takes, of what OpenSSL has signed blindly', async () => {
  const pending = await prepareTokens(tokenKey, 3)
  const tokens = await finishTokens(
    tokenKey,
    pending,
    pending.map(({ blinded }) => raw(blinded)),
  )
  for (const [i, token] of tokens.entries()) {
    const { random, message, signature } = splitToken(token)!
    expect(verify('sha384', message, { key: publicKey, ...pss }, signature)).toBe(true)
    // Nothing of what the issuer has seen is in the token.
    expect(Buffer.from(random).toString('base64')).toBe(pending[i]!.random)
    expect(token).not.toContain(pending[i]!.blinded.slice(0, 20))
  }
  expect(new Set(tokens).size).toBe(3)
})

it('has blind signatures of OpenSSL that are those of the library', async () => {
  const key = await webcrypto.subtle.importKey(
    'pkcs8',
    privateKey.export({ format: 'der', type: 'pkcs8' }),
    { name: 'RSA-PSS', hash: 'SHA-384' },
    true,
    ['sign'],
  )
  const [{ blinded } = { blinded: '' }] = await prepareTokens(tokenKey, 1)
  const suite = RSABSSA.SHA384.PSS.Randomized()
  const theirs = await suite.blindSign(key, new Uint8Array(Buffer.from(blinded, 'base64')))
  expect(Buffer.from(theirs).toString('base64')).toBe(raw(blinded))
})

it('refuses signatures of another key, for another token, or too few', async () => {
  const pending = await prepareTokens(tokenKey, 2)
  const signed = pending.map(({ blinded }) => raw(blinded))
  await expect(finishTokens(tokenKey, pending, [...signed].reverse())).rejects.toThrow(
    'signature 1',
  )
  await expect(finishTokens(tokenKey, pending, signed.slice(1))).rejects.toThrow('2 tokens')
  await expect(finishTokens(tokenKey, pending, ['AAAA', 'x'])).rejects.toThrow('signature')
  await expect(prepareTokens('AAAA', 1)).rejects.toThrow('token key')
})

it.each(['', 'x', 'AAAA', 'A'.repeat(384).concat('='), 'A'.repeat(5000)])(
  'takes no %s for a token',
  (text) => {
    expect(splitToken(text)).toBeUndefined()
  },
)
