import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import {
  concatBytes,
  hexToBytes,
  bytesToHex,
  randomBytes,
  utf8ToBytes,
} from '@noble/hashes/utils.js'
import { hash256, toBase64 } from './bytes.js'
import { mapIdentity } from './identity.js'
import { canonical } from './json.js'
import { AGREES, CIPHERSUITE, makeKeyEntry, SIGNS } from './key-entry.js'
import {
  MAX_KEY_INIT_LIFETIME,
  sealAnchor,
  sigKeyHash,
  type KeyInit,
  type KeyInitContents,
} from './key-init.js'
import type { UidContent, UidMessage } from './message.js'
import { malformed } from './refusal.js'
import { ROLLOVER } from './rules.js'

/*
 * What the owner of a name makes: messages and KeyInits, as the client makes them.
 */

/** The secrets behind the last message of an identity. */
export interface UidSecrets {
  /** Seed of SIGKEY. */
  readonly sigKey: Uint8Array
  /** Of the X25519 key in PUBKEYS. */
  readonly encryption: Uint8Array
}

export const newUidSecrets = (): UidSecrets => ({
  sigKey: ed25519.utils.randomSecretKey(),
  encryption: x25519.utils.randomSecretKey(),
})

/** A seed for the key that is printed. */
export const newEscrowKey = (): Uint8Array => ed25519.utils.randomSecretKey()

export interface NewUid {
  /** In any spelling. */
  readonly identity: string
  /** The last entry of the chain that was seen. */
  readonly lastEntry: string
  /** In seconds. */
  readonly now: number
  readonly escrow?: Uint8Array | undefined
  /** The public half of an escrow key that is kept elsewhere, and does not sign this one. */
  readonly escrowKey?: Uint8Array | undefined
  readonly forwardSecrecy?: 'strict' | 'mandatory' | 'optional' | undefined
}

/** The first message of an identity. docs/spec/keyserver.md, 4.7 */
export function makeUid(
  { sigKey, encryption }: UidSecrets,
  { identity: given, lastEntry, now, escrow, escrowKey, forwardSecrecy = 'strict' }: NewUid,
): UidMessage {
  const { text: identity, domain } = mapIdentity(given)
  const content: UidContent = {
    VERSION: '1.0',
    MSGCOUNT: 0,
    NOTAFTER: now + ROLLOVER,
    NOTBEFORE: 0,
    MIXADDRESS: '',
    NYMADDRESS: '',
    IDENTITY: identity,
    SIGKEY: signing(sigKey),
    PUBKEYS: [agreeing(encryption)],
    SIGESCROW: escrowEntry(escrow, escrowKey),
    LASTENTRY: lastEntry,
    REPOURIS: [domain],
    PREFERENCES: { FORWARDSEC: forwardSecrecy, CIPHERSUITES: [CIPHERSUITE] },
    CHAINLINK: null,
  }
  return signed(content, sigKey, escrow === undefined ? {} : { ESCROWSIGNATURE: escrow })
}

/** Who may say something new of an identity: its SIGKEY, or the key on paper. */
export type UpdatedBy = { readonly sigKey: Uint8Array } | { readonly escrow: Uint8Array }

/**
 * The next message of an identity, with the keys of `secrets`. 4.8
 * @param escrow the seed of another escrow key; only where the one before signs
 */
export function updateUid(
  before: UidMessage,
  secrets: UidSecrets,
  by: UpdatedBy,
  { lastEntry, now, escrow }: Pick<NewUid, 'lastEntry' | 'now' | 'escrow'>,
): UidMessage {
  const content: UidContent = {
    ...before.UIDContent,
    MSGCOUNT: before.UIDContent.MSGCOUNT + 1,
    NOTAFTER: now + ROLLOVER,
    SIGKEY: signing(secrets.sigKey),
    PUBKEYS: [agreeing(secrets.encryption)],
    SIGESCROW: escrow === undefined ? before.UIDContent.SIGESCROW : signing(escrow),
    LASTENTRY: lastEntry,
  }
  const with_ = 'escrow' in by ? { ESCROWSIGNATURE: by.escrow } : { USERSIGNATURE: by.sigKey }
  return signed(content, secrets.sigKey, with_)
}

type OtherSignatures = Partial<Record<'ESCROWSIGNATURE' | 'USERSIGNATURE', Uint8Array>>

function signed(content: UidContent, sigKey: Uint8Array, by: OtherSignatures): UidMessage {
  const bytes = canonical(content)
  const signature = (seed: Uint8Array | undefined) =>
    seed === undefined ? '' : toBase64(ed25519.sign(bytes, seed))
  return {
    UIDContent: content,
    ESCROWSIGNATURE: signature(by.ESCROWSIGNATURE),
    USERSIGNATURE: signature(by.USERSIGNATURE),
    SELFSIGNATURE: signature(sigKey),
    LINKAUTHORITY: '',
  }
}

const signing = (seed: Uint8Array) => makeKeyEntry(SIGNS, ed25519.getPublicKey(seed))
const escrowEntry = (seed: Uint8Array | undefined, key: Uint8Array | undefined) => {
  if (seed !== undefined) return signing(seed)
  return key === undefined ? null : makeKeyEntry(SIGNS, key)
}
const agreeing = (secret: Uint8Array) => makeKeyEntry(AGREES, x25519.getPublicKey(secret))

export interface NewKeyInit {
  readonly repoUri: string
  /** In seconds. */
  readonly now: number
  readonly fallback?: boolean | undefined
  readonly messageCount?: number | undefined
  readonly lifetime?: number | undefined
}

/** A KeyInit, and the secret of the X25519 key in it. 5.1 to 5.3 */
export function makeKeyInit(
  sigKey: Uint8Array,
  { repoUri, now, fallback = false, messageCount = 0, lifetime }: NewKeyInit,
): { readonly keyInit: KeyInit; readonly secret: Uint8Array } {
  const sigPubKey = ed25519.getPublicKey(sigKey)
  const secret = x25519.utils.randomSecretKey()
  const anchor = { MIXADDRESS: '', NYMADDRESS: '', PFKEYS: [agreeing(secret)] }
  const contents: KeyInitContents = {
    VERSION: '1.0',
    MSGCOUNT: messageCount,
    NOTAFTER: now + (lifetime ?? MAX_KEY_INIT_LIFETIME),
    NOTBEFORE: 0,
    FALLBACK: fallback,
    SIGKEYHASH: sigKeyHash(sigPubKey),
    REPOURI: repoUri,
    ...sealAnchor(anchor, sigPubKey, randomBytes(16)),
  }
  const keyInit = {
    Contents: contents,
    SIGNATURE: toBase64(ed25519.sign(canonical(contents), sigKey)),
  }
  return { keyInit, secret }
}

const checksum = (seed: Uint8Array) =>
  hash256(utf8ToBytes('vertex/v1/escrow-key'), seed).slice(0, 4)

/** An escrow key as it is printed: 72 digits in groups of 8. 11.1 */
export const printEscrowKey = (seed: Uint8Array): string =>
  bytesToHex(concatBytes(seed, checksum(seed)))
    .match(/.{8}/g)!
    .join(' ')

/** An escrow key as it was typed in, with any white space. @throws KeyserverRefusal */
export function readEscrowKey(typed: string): Uint8Array {
  const digits = typed.replace(/\s/g, '').toLowerCase()
  if (!/^[0-9a-f]{72}$/.test(digits))
    throw malformed('an escrow key has 72 digits, 0 to 9 and a to f')
  const bytes = hexToBytes(digits)
  const seed = bytes.slice(0, 32)
  if (!checksum(seed).every((byte, i) => byte === bytes[32 + i]))
    throw malformed('a digit of the escrow key is wrong: compare it with the paper')
  return seed
}
