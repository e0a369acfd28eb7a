import { execFileSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { concatBytes, encodeDer, type Signature } from '@vertex/mpc'

/** Verifiers that share no code with the protocol: OpenSSL in Node, OpenSSL on the command line, libsecp256k1. */

/** SubjectPublicKeyInfo of a compressed secp256k1 point, up to the point (RFC 5480, SEC 2). */
const SPKI_HEAD = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex')
const spki = (publicKey: Uint8Array) =>
  createPublicKey({ key: Buffer.concat([SPKI_HEAD, publicKey]), format: 'der', type: 'spki' })

/** Whether Node's OpenSSL accepts the DER signature over SHA-256 of the message. */
export function verifiesInNode(
  { r, s }: Signature,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  return verify('sha256', message, spki(publicKey), encodeDer(r, s))
}

/** Whether the `openssl` command accepts the DER signature over a bare digest. */
export function verifiesInOpenssl(
  { r, s }: Signature,
  digest: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-verify-'))
  try {
    writeFileSync(join(folder, 'key'), spki(publicKey).export({ format: 'pem', type: 'spki' }))
    writeFileSync(join(folder, 'sig'), encodeDer(r, s))
    writeFileSync(join(folder, 'digest'), digest)
    const args = [
      'pkeyutl',
      '-verify',
      '-pubin',
      '-inkey',
      'key',
      '-sigfile',
      'sig',
      '-in',
      'digest',
    ]
    const answer = execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
    return answer.includes('Signature Verified Successfully')
  } catch (e) {
    if (e instanceof Error && 'status' in e && e.status === 1) return false
    throw e
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Libsecp256k1 {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
}

const libsecp256k1 = (() => {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings.js') as Libsecp256k1
  } catch {
    return undefined
  }
})()

/** Whether libsecp256k1, or where it has no build the `openssl` command, accepts the signature over a bare digest. */
export function verifiesDigest(
  signature: Signature,
  digest: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (libsecp256k1 === undefined) return verifiesInOpenssl(signature, digest, publicKey)
  return libsecp256k1.ecdsaVerify(concatBytes(signature.r, signature.s), digest, publicKey)
}

/** The public key that the signature and its recovery id lead back to (SEC 1, section 4.1.6). */
export function recovered({ r, s, v }: Signature, digest: Uint8Array): Uint8Array {
  return new secp256k1.Signature(
    BigInt(`0x${Buffer.from(r).toString('hex')}`),
    BigInt(`0x${Buffer.from(s).toString('hex')}`),
    v,
  )
    .recoverPublicKey(digest)
    .toBytes(true)
}
