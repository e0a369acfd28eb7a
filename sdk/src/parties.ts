import { bytesToHex, partyIndex, type KeyShare, type PartyIndex } from '@vertex/mpc'
import { IdentityError } from './errors.js'

/** A party's index: the rank of its keygen_id, from 1. @throws IdentityError for a keygen_id of no party */
export function partyOf(share: Pick<KeyShare, 'keygenIds'>, keygenId: string): PartyIndex {
  const rank = share.keygenIds.findIndex((id) => bytesToHex(id) === keygenId)
  if (rank < 0) throw new IdentityError('key_mismatch', 'this keygen_id is no party of the key')
  return partyIndex(rank + 1)
}
