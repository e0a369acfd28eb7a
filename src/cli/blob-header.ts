import { isDeepStrictEqual } from 'node:util'
import type { RestOutput } from '@vertex/sdk'
import { decodeContainer, ENCRYPTED, type ContainerHeader } from '../seal/backup-container.js'

/**
 * Whether a blob that a server made of another one says that it holds the same share (the same vault, user and key_id,
 * the same key, party and public shares, the same epoch and chain code) under another secret, the one that the server
 * names. This is what can be read without the secret: that the sealed part holds that share, only opening it tells.
 * docs/spec/backup-envelope.md, section 3
 */
export function isSealedAnew(
  former: string,
  made: Pick<
    RestOutput<'rewrapKeyShare'>,
    'key_share' | 'key_id' | 'pubkey' | 'epoch' | 'secret_version'
  >,
): boolean {
  const [before, after] = [headerOf(former), headerOf(made.key_share)]
  if (before === undefined || after === undefined) return false
  const { secret, publicKey, keyId, epoch } = after
  return (
    isDeepStrictEqual(subjectOf(before), subjectOf(after)) &&
    !isDeepStrictEqual(before.secret!.fingerprint, secret!.fingerprint) &&
    secret!.version === made.secret_version &&
    Buffer.from(publicKey).toString('hex') === made.pubkey &&
    keyId === made.key_id &&
    epoch === made.epoch
  )
}

/** All of a header that another seal leaves as it is. */
const subjectOf = (header: ContainerHeader) => ({ ...header, secret: undefined, createdAt: 0 })

function headerOf(text: string): ContainerHeader | undefined {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) return undefined
  try {
    const { suite, header } = decodeContainer(new Uint8Array(bytes))
    return suite === ENCRYPTED ? header : undefined
  } catch {
    return undefined
  }
}
