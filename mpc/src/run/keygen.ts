import { equalBytes } from '../bytes.js'
import { checkKeygenId } from '../channel/identity.js'
import { IdentityKey } from '../channel/identity-key.js'
import { compareBytes, type KeyShare } from '../dkls23/key-share.js'
import { startKeygen } from '../dkls23/keygen/index.js'
import { partyIndex } from '../party.js'
import { sessionId } from '../session.js'
import { SessionMismatch } from './failures.js'
import { exchangeHellos } from './hello.js'
import { Meeting } from './meeting.js'
import { encodeOffer, noSetup } from './offer.js'
import type { KeygenRun } from './options.js'
import { makePairSetup, type PairSetupInput } from './pair-setups.js'
import type { Peer } from './peer.js'
import { playRounds } from './rounds.js'
import { encodeAbort } from './wire.js'

const zeros = new Uint8Array(32)

/**
 * Makes a key with all n parties in one room, then an OT setup with each of them. Resolves with the share once every
 * party has confirmed the key; setups for which there was no time are made by the first signature instead.
 * docs/spec/run.md
 * @throws RangeError when the keygen_ids are not n good and distinct ones with the own among them
 * @throws SessionMismatch when the parties do not mean the same run
 * @throws ProtocolAbort when a check of the keygen fails
 * @throws RunFailed when a party or the room is gone
 */
export async function runKeygen(o: KeygenRun): Promise<KeyShare> {
  try {
    const { suite, link, room, quorum, identity, setups } = o
    const keygenIds = [...o.keygenIds].sort(compareBytes)
    if (keygenIds.length !== quorum.parties)
      throw new RangeError(`${quorum.parties} keygen_ids expected, not ${keygenIds.length}`)
    keygenIds.forEach(checkKeygenId)
    if (keygenIds.some((id, at) => at > 0 && equalBytes(id, keygenIds[at - 1]!)))
      throw new RangeError('a keygen_id stands twice among the parties')
    const rank = keygenIds.findIndex((id) => equalBytes(id, identity.keygenId))
    if (rank < 0) throw new RangeError('the own keygen_id is not among the parties')
    const me = partyIndex(rank + 1)
    if (link.size !== quorum.parties) throw new SessionMismatch('room size')

    const offer = encodeOffer({
      operation: 'keygen',
      fingerprint: zeros,
      epoch: 0,
      quorum,
      roomSize: link.size,
      path: [],
      digest: zeros,
      setupId: noSetup,
    })
    const identityKey = new IdentityKey(suite.channel, identity.secret)
    const meeting = new Meeting({
      crypto: suite.channel,
      hash: suite.kernel.hash,
      link,
      room,
      operation: 'keygen',
      me,
      identity: identityKey,
      keygenIds,
      offerFor: () => offer,
    })
    try {
      await meeting.complete
      const { contributions, handshakes, view } = await exchangeHellos(meeting, me)
      const { present, peers } = meeting
      const sid = sessionId({
        operation: 'keygen',
        room,
        quorum,
        keygenIds,
        present,
        contributions,
        handshakes,
      })
      const start = { suite, sid, quorum, me, keygenIds, identitySecret: identity.secret }
      const share = await playRounds(startKeygen(start), {
        protocol: 'keygen',
        peers,
        view,
        watch: o.watch,
        keep: (made) => o.keep(made),
      })
      const pair = { suite, room, share, setups, watch: o.watch }
      await Promise.all(peers.map((peer) => tryPairSetup(pair, peer)))
      return share
    } catch (error) {
      meeting.giveUp(error)
      throw error
    } finally {
      meeting.leave()
      identityKey.forget()
    }
  } finally {
    o.link.leave()
  }
}

/**
 * A key that all have confirmed stays, whatever becomes of a setup: it is only a cache. A failed check has been counted
 * by then; the next signature makes the setup anew.
 */
async function tryPairSetup(input: PairSetupInput, peer: Peer): Promise<void> {
  try {
    await makePairSetup(input, peer)
  } catch {
    try {
      peer.sendRaw(encodeAbort(undefined))
    } catch {
      // The room has ended; the peer will notice by itself.
    }
  }
}
