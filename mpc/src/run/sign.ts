import { IdentityKey } from '../channel/identity-key.js'
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
import { batchDigest, memberSession } from './batch.js'
import { SessionMismatch } from './failures.js'
import { exchangeHellos } from './hello.js'
import { lockstep } from './lockstep.js'
import { Meeting } from './meeting.js'
import { encodeOffer, noSetup } from './offer.js'
import { MAX_BATCH, type Signable, type SignBatchRun, type SignRun } from './options.js'
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
  const [signature] = await signAll(o, [o])
  return signature!
}

/**
 * Signs several digests of one key in one run: one room, one handshake with each party, one message for each flight of
 * all of them. Resolves with all signatures, in order; what ends one of them ends all, and no signature of a batch that
 * failed leaves. Every side must be given the same list. A batch of one is {@link runSign}. docs/spec/run.md, section
 * Batches
 * @throws RangeError for an empty batch or one of more than MAX_BATCH
 * @throws SessionMismatch, ProtocolAbort, RunFailed as {@link runSign}
 */
export function runSignBatch(o: SignBatchRun): Promise<Signature[]> {
  return signAll(o, o.batch)
}

async function signAll(
  o: Omit<SignBatchRun, 'batch'>,
  batch: readonly Signable[],
): Promise<Signature[]> {
  try {
    const { suite, link, room, share, setups } = o
    const { quorum, keygenIds, index: me, fingerprint, epoch } = share
    if (batch.length < 1 || batch.length > MAX_BATCH)
      throw new RangeError(`a batch has 1 to ${MAX_BATCH} signatures`)
    if (batch.some(({ digest }) => digest.length !== 32))
      throw new RangeError('a digest has 32 bytes')
    if (link.size < quorum.threshold || link.size > quorum.parties)
      throw new SessionMismatch('room size')

    const about = subjectOf(batch)
    const cached = await loadSetups(o)
    const identity = o.identity ?? new IdentityKey(suite.channel, share.identitySecret.reveal())
    const hash = suite.kernel.hash
    const meeting = new Meeting({
      crypto: suite.channel,
      hash,
      link,
      room,
      operation: 'sign',
      signatures: batch.length,
      me,
      identity,
      keygenIds,
      offerFor: (peer) =>
        encodeOffer(
          {
            ...about,
            fingerprint,
            epoch,
            quorum,
            roomSize: link.size,
            setupId: cached.get(peer)?.id ?? noSetup,
          },
          hash,
        ),
    })
    try {
      await meeting.complete
      const { peers, present } = meeting
      const pair = { suite, room, share, setups, watch: o.watch }
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
      const sid = sessionId(
        {
          ...about,
          room,
          quorum,
          keygenIds,
          present,
          contributions,
          handshakes,
          fingerprint,
          epoch,
          setupIds,
        },
        hash,
      )
      const ids = new Map([...chosen].map(([peer, setup]) => [peer, setup.id]))
      return await retiring(setups, ids, async () => {
        const start = begin(peers.length, peers[0]?.iMoveFirst === true)
        const first = batch.map(({ digest, path }, at) =>
          start({
            suite,
            sid: batch.length === 1 ? sid : memberSession(sid, batch, at),
            share,
            signers: present,
            setups: chosen,
            digest,
            path,
          }),
        )
        return playRounds(lockstep(first), {
          protocol: 'sign',
          peers,
          view,
          watch: o.watch,
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
      if (identity !== o.identity) identity.forget()
    }
  } finally {
    o.link.leave()
  }
}

/** What the offer and the session id say is signed. A batch of one is the signature alone. */
function subjectOf(batch: readonly Signable[]) {
  const [only] = batch
  if (batch.length === 1 && only !== undefined)
    return { operation: 'sign', path: only.path, digest: only.digest } as const
  return { operation: 'batch', path: [], digest: batchDigest(batch) } as const
}

function begin(others: number, iMoveFirst: boolean) {
  if (others > 1) return startSignMany
  return iMoveFirst ? startSignFirst : startSignSecond
}

async function loadSetups({
  share,
  setups,
}: Pick<SignRun, 'share' | 'setups'>): Promise<Map<PartyIndex, PairSetup>> {
  const cached = new Map<PartyIndex, PairSetup>()
  for (let rank = 1; rank <= share.quorum.parties; rank++) {
    const peer = partyIndex(rank)
    const setup = peer === share.index ? undefined : await setups.load(peer)
    if (setup?.peer === peer && setup.me === share.index) cached.set(peer, setup)
  }
  return cached
}
