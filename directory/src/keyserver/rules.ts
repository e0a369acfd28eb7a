import type { Equation } from '../ed25519.js'
import { isSignature } from './bytes.js'
import { escrowOf, linkOf, type CheckedMessage, type UidMessage } from './message.js'
import { KeyserverRefusal, refused } from './refusal.js'

/*
 * How messages of one identity follow each other. docs/spec/keyserver.md, section 4
 */

const DAY = 24 * 3600
/** Seconds. */
export const ROLLOVER = 365 * DAY

/** How long a message may say that it is valid. 4.3 @throws KeyserverRefusal */
export function assertLifetime(notAfter: number, now: number, most = ROLLOVER): void {
  if (notAfter <= now) throw refused('uid: NOTAFTER has expired')
  if (notAfter > now + most + DAY) throw refused('uid: NOTAFTER is too far in the future')
}

/** What its last message makes of an identity. 4.6 */
export const stateOf = (notAfter: number, now: number) => ({
  isKnown: now <= notAfter + 2 * ROLLOVER,
  canBeUpdated: now <= notAfter + ROLLOVER,
  isKnownToReaders: now <= notAfter,
})

/** The first message of an identity. 4.7 @throws KeyserverRefusal */
export function assertFirst({ message, content }: CheckedMessage, equation?: Equation): void {
  const { UIDContent: uid, USERSIGNATURE, ESCROWSIGNATURE } = message
  if (uid.MSGCOUNT !== 0) throw refused('uid: the message counter of a new identity must be 0')
  if (USERSIGNATURE !== '') throw refused('uid: a new identity has no USERSIGNATURE')
  if (ESCROWSIGNATURE === '') return
  const escrow = escrowOf(uid)
  if (escrow === undefined || !isSignature(ESCROWSIGNATURE, escrow.PUBKEY, content, equation))
    throw refused('uid: escrow-signature invalid')
}

/** A later message, after the one before. 4.8 @throws KeyserverRefusal */
export function assertFollows(
  { message, content }: CheckedMessage,
  { UIDContent: before }: UidMessage,
  equation?: Equation,
): void {
  const { UIDContent: uid, USERSIGNATURE, ESCROWSIGNATURE } = message
  if (uid.IDENTITY !== before.IDENTITY) throw refused('uid: the message is of another identity')
  if (uid.MSGCOUNT !== before.MSGCOUNT + 1)
    throw new KeyserverRefusal('conflict', 'uid: message counter not incremented by one')
  const escrow = escrowOf(before)
  if (ESCROWSIGNATURE !== '') {
    if (escrow === undefined || !isSignature(ESCROWSIGNATURE, escrow.PUBKEY, content, equation))
      throw refused('uid: escrow-signature invalid')
  } else {
    if (!isSignature(USERSIGNATURE, before.SIGKEY.PUBKEY, content, equation))
      throw refused('uid: user-signature invalid')
    // Whoever has found the device must not be able to lock its owner out.
    if (escrow?.PUBKEY !== escrowOf(uid)?.PUBKEY)
      throw refused('uid: another SIGESCROW needs an ESCROWSIGNATURE by the one before')
  }
  const link = linkOf(uid)
  if (link !== undefined && !link.AUTHORITATIVE && link.IDENTITY !== '')
    assertConnected(link.IDENTITY, linkOf(before)?.IDENTITY)
}

/** A connected identity was connected before. 6.4 @throws KeyserverRefusal */
export function assertConnected(identity: string, before: string | undefined): void {
  if (identity !== before)
    throw refused('uid: this identity was not connected by an AUTHORITATIVE link before')
}

/** A message that was found on the chain. */
export interface FoundMessage {
  readonly position: number
  readonly checked: CheckedMessage
}

/**
 * The last message of the identity that readers know by this name. 4.10
 * @param found all messages of the name, in the order of the chain
 * @param now in seconds
 * @returns undefined where the name is nobody's now
 * @throws KeyserverRefusal
 */
export function currentOf(
  found: readonly FoundMessage[],
  now: number,
  equation?: Equation,
): FoundMessage | undefined {
  const last = lastOf(found, now, equation)
  if (last === undefined) return undefined
  return stateOf(last.checked.message.UIDContent.NOTAFTER, now).isKnownToReaders ? last : undefined
}

/** As {@link currentOf}, for the owner of the name: the last message, even if it has expired. */
export function lastOf(
  found: readonly FoundMessage[],
  now: number,
  equation?: Equation,
): FoundMessage | undefined {
  let last: FoundMessage | undefined
  for (const each of found) {
    if (last !== undefined && each.checked.message.UIDContent.MSGCOUNT !== 0)
      assertFollows(each.checked, last.checked.message, equation)
    else {
      // When it came, the chain does not say: not before it began, and not after now.
      const before = last?.checked.message.UIDContent.NOTAFTER
      if (before !== undefined && stateOf(before, now).isKnown)
        throw refused('uid: the name was given to somebody else while it was taken')
      assertFirst(each.checked, equation)
    }
    last = each
  }
  return last
}
