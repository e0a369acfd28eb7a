import {
  startSignFirst,
  startSignMany,
  startSignSecond,
  type Signature,
} from '../dkls23/sign/index.js'
import type { PartyIndex } from '../party.js'
import { partyIndex } from '../party.js'
import { sessionId } from '../session.js'
import type { PairSetup } from '../setup/pair-setup.js'
import { SessionMismatch } from './failures.js'
import { exchangeHellos } from './hello.js'
import { Meeting } from './meeting.js'
import { encodeOffer, noSetup } from './offer.js'
import type { SignRun } from './options.js'
import { makePairSetup } from './pair-setups.js'
import { retiring } from './retire.js'
import { playRounds } from './rounds.js'

/**
 * Signs a digest with the other parties in one room; as many sign as the room takes. Resolves with a signature that
 * verifies under the derived key. With two parties and a setup that both know it takes six messages. docs/spec/run.md
 * @throws SessionMismatch when the parties do not mean the same run, or a concurrent run has retired a setup
 * @throws ProtocolAbort when a check fails; a setup this kills has been retired by then
 * @throws RunFailed when a party or the room is gone
 */
export async function runSign(o: SignRun): Promise<Signature> {
  try {
    const { suite, link, room, share, digest, path, setups } = o
    const { quorum, keygenIds, index: me, fingerprint, epoch } = share
    if (digest.length !== 32) throw new RangeError('a digest has 32 bytes')
    if (link.size < quorum.threshold || link.size > quorum.parties)
      throw new SessionMismatch('room size')

    const cached = await loadSetups(o)
    const meeting = new Meeting({
      crypto: suite.channel,
      link,
      room,
      operation: 'sign',
      me,
      secret: share.identitySecret.reveal(),
      keygenIds,
      offerFor: (peer) =>
        encodeOffer({
          operation: 'sign',
          fingerprint,
          epoch,
          quorum,
          roomSize: link.size,
          path,
          digest,
          setupId: cached.get(peer)?.id ?? noSetup,
        }),
    })
    try {
      await meeting.complete
      const { peers, present } = meeting
      const pair = { suite, room, share, setups }
      const chosen = new Map<PartyIndex, PairSetup>()
      await Promise.all(
        peers.map(async (peer) => {
          await setups.offered?.(peer.index, peer.offeredSetup)
          const known = peer.setupAgreed ? cached.get(peer.index) : undefined
          chosen.set(peer.index, known ?? (await makePairSetup(pair, peer)))
        }),
      )
      const agreed = await exchangeHellos(meeting, me, chosen)
      const { contributions, handshakes, setupIds, view } = agreed
      const sid = sessionId({
        operation: 'sign',
        room,
        quorum,
        keygenIds,
        present,
        contributions,
        handshakes,
        fingerprint,
        epoch,
        setupIds,
        path,
        digest,
      })
      const ids = new Map([...chosen].map(([peer, setup]) => [peer, setup.id]))
      return await retiring(setups, ids, async () => {
        const input = { suite, sid, share, signers: present, setups: chosen, digest, path }
        return playRounds(begin(peers.length, peers[0]?.iMoveFirst === true)(input), {
          protocol: 'sign',
          peers,
          view,
          before: async () => {
            for (const id of ids.values())
              if (!(await setups.alive(id))) throw new SessionMismatch('setup')
          },
        })
      })
    } catch (error) {
      meeting.giveUp(error)
      throw error
    } finally {
      meeting.leave()
    }
  } finally {
    o.link.leave()
  }
}

function begin(others: number, iMoveFirst: boolean) {
  if (others > 1) return startSignMany
  return iMoveFirst ? startSignFirst : startSignSecond
}

async function loadSetups({ share, setups }: SignRun): Promise<Map<PartyIndex, PairSetup>> {
  const cached = new Map<PartyIndex, PairSetup>()
  for (let rank = 1; rank <= share.quorum.parties; rank++) {
    const peer = partyIndex(rank)
    const setup = peer === share.index ? undefined : await setups.load(peer)
    if (setup?.peer === peer && setup.me === share.index) cached.set(peer, setup)
  }
  return cached
}
