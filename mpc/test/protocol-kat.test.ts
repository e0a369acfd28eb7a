import { readFileSync, writeFileSync } from 'node:fs'
import { blake3 } from '@noble/hashes/blake3.js'
import { describe, expect, it } from 'vitest'
import {
  compareBytes,
  encodeKeyShare,
  encodePairSetup,
  partyIndex,
  portableSuite,
  quorum,
  sessionId,
  type KeyShare,
  type PairSetup,
  type PartyIndex,
  type Signature,
  type SignInput,
  type Suite,
} from '@vertex/mpc'
import {
  startKeygenWith,
  startPairSetupWith,
  startSignFirstWith,
  startSignManyWith,
  startSignSecondWith,
} from '@vertex/mpc/testing'
import { identityOf } from '../src/channel/identity.js'
import { Hedge } from '../src/hedge.js'
import { changedSetup, dealtSetups } from './support/ot.js'
import { hasNativeCurve, native, noble } from './support/parties.js'
import { seeded } from './support/seeded.js'
import { finish, simulate, type Outcome } from './support/simulate.js'

/*
 * Known answers: every byte that the protocols say and make from given randomness, frozen. A change on which both
 * sides agree passes every other test; here it shows. If such a change is meant, the protocol's version or tags change
 * with it, and VERTEX_TEST_WRITE_VECTORS=1 with this file alone writes the vectors anew.
 */
const file = new URL('vectors/protocol-kat.json', import.meta.url)

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const hashOf = (bytes: Uint8Array) => hex(blake3(bytes))
const fixed = (name: string, length = 32) => seeded(`fixed ${name}`)(length)

/** Each message in the order in which it was sent: who to whom, in which round or flight, its length and hash. */
const messagesOf = ({ sent }: Outcome<unknown, unknown>) =>
  sent.map(
    ({ from, to, round, bytes }) => `${round}: ${from}>${to} ${bytes.length} ${hashOf(bytes)}`,
  )

function keygenOn(suite: Suite, threshold: number, parties: number) {
  const identities = Array.from({ length: parties }, (_, at) =>
    identityOf(suite.channel, fixed(`identity ${at}`), at === 0 ? 'client' : 'vertex'),
  ).sort((a, b) => compareBytes(a.keygenId, b.keygenId))
  const outcome = simulate(
    new Map(
      identities.map(({ secret }, at) => [
        partyIndex(at + 1),
        startKeygenWith(
          {
            suite,
            sid: fixed('keygen sid'),
            quorum: quorum(threshold, parties),
            me: partyIndex(at + 1),
            keygenIds: identities.map(({ keygenId }) => keygenId),
            identitySecret: secret,
          },
          seeded(`keygen of ${at + 1}`),
        ),
      ]),
    ),
  )
  const shares = [...finish(outcome, parties).values()]
  const vectors = {
    messages: messagesOf(outcome),
    public_key: hex(shares[0]!.publicKey),
    fingerprint: hex(shares[0]!.fingerprint),
    shares: shares.map((share) => hashOf(encodeKeyShare(share))),
  }
  return { shares, vectors }
}

function setupOn(suite: Suite, shares: readonly KeyShare[]) {
  const start = (me: number, peer: number) =>
    startPairSetupWith(
      {
        suite,
        sid: fixed('setup sid'),
        me: partyIndex(me),
        peer: partyIndex(peer),
        first: me < peer,
        hedgeSecret: shares[me - 1]!.identitySecret.reveal(),
      },
      seeded(`setup of ${me}`),
    )
  const outcome = simulate(
    new Map([
      [partyIndex(1), start(1, 2)],
      [partyIndex(2), start(2, 1)],
    ]),
  )
  const setups = [...finish(outcome, 2).values()]
  const vectors = {
    messages: messagesOf(outcome),
    id: hex(setups[0]!.id),
    setups: setups.map((setup) => hashOf(encodePairSetup(setup))),
  }
  return { setups, vectors }
}

/** A setup between any two parties, dealt: what signing needs, without five flights for each pair. */
function dealt(me: number, peer: number): PairSetup {
  const [low, high] = dealtSetups(seeded(`setup ${[me, peer].sort().join()}`))
  return changedSetup(me < peer ? low : high, { me: partyIndex(me), peer: partyIndex(peer) })
}

function signatureVectors(outcome: Outcome<Signature, never>, signers: number) {
  const signatures = [...finish(outcome, signers).values()].map(
    ({ r, s, v }) => `${hex(r)} ${hex(s)} ${v}`,
  )
  expect(new Set(signatures).size).toBe(1)
  return { messages: messagesOf(outcome), signature: signatures[0] }
}

const signInput = (
  suite: Suite,
  share: KeyShare,
  signers: readonly number[],
  setups: ReadonlyMap<PartyIndex, PairSetup>,
): SignInput => ({
  suite,
  sid: fixed('sign sid'),
  share,
  signers: signers.map(partyIndex),
  setups,
  digest: fixed('digest'),
  path: [0, 7, 2 ** 31 - 1],
})

function flightsOn(suite: Suite, [one, two]: readonly KeyShare[], setups: readonly PairSetup[]) {
  const first = signInput(suite, one!, [1, 2], new Map([[partyIndex(2), setups[0]!]]))
  const second = signInput(suite, two!, [1, 2], new Map([[partyIndex(1), setups[1]!]]))
  const outcome = simulate(
    new Map([
      [partyIndex(1), startSignFirstWith(first, seeded('sign of 1'))],
      [partyIndex(2), startSignSecondWith(second, seeded('sign of 2'))],
    ]),
  )
  return signatureVectors(outcome, 2)
}

function roundsOn(suite: Suite, shares: readonly KeyShare[]) {
  const outcome = simulate(
    new Map(
      shares.map((share) => {
        const others = [1, 2, 3].filter((j) => j !== share.index)
        const setups = new Map(others.map((j) => [partyIndex(j), dealt(share.index, j)]))
        const input = signInput(suite, share, [1, 2, 3], setups)
        return [share.index, startSignManyWith(input, seeded(`rounds of ${share.index}`))]
      }),
    ),
  )
  return signatureVectors(outcome, 3)
}

function sessionIds() {
  const common = {
    room: fixed('room', 16),
    quorum: quorum(2, 3),
    keygenIds: [1, 2, 3].map((i) => fixed(`keygen_id ${i}`, 33)),
    contributions: [fixed('contribution 1'), fixed('contribution 3')],
    present: [1, 3].map(partyIndex),
    handshakes: [fixed('handshake')],
  }
  const key = { fingerprint: fixed('fingerprint'), epoch: 7 }
  return {
    keygen: hex(sessionId({ operation: 'keygen', ...common })),
    setup: hex(sessionId({ operation: 'setup', ...common, ...key })),
    sign: hex(
      sessionId({
        operation: 'sign',
        ...common,
        ...key,
        setupIds: [fixed('setup 1'), fixed('setup 2')],
        path: [44, 0, 5],
        digest: fixed('digest'),
      }),
    ),
  }
}

function hedgesOn(suite: Suite) {
  const hedge = new Hedge(
    seeded('hedge'),
    suite.kernel.hash,
    fixed('share'),
    fixed('sid'),
    fixed('digest'),
  )
  const nonce = hedge.stream('nonce')
  const before = {
    first: hex(nonce(48)),
    second: hex(nonce(32)),
    peer: hex(hedge.stream('x', partyIndex(2))(32)),
  }
  hedge.absorb(fixed('message 1'), fixed('message 2'))
  return { before, after: hex(hedge.stream('nonce')(48)) }
}

function vectorsOn(suite: Suite) {
  const two = keygenOn(suite, 2, 2)
  const three = keygenOn(suite, 2, 3)
  const setup = setupOn(suite, two.shares)
  return {
    session_ids: sessionIds(),
    hedged_randomness: hedgesOn(suite),
    keygen_2_of_2: two.vectors,
    keygen_2_of_3: three.vectors,
    pair_setup: setup.vectors,
    sign_in_flights: flightsOn(suite, two.shares, setup.setups),
    sign_in_rounds: roundsOn(suite, three.shares),
  }
}

describe('the protocols, from given randomness,', () => {
  if (process.env['VERTEX_TEST_WRITE_VECTORS'] === '1')
    writeFileSync(file, `${JSON.stringify(vectorsOn(noble), null, 2)}\n`)
  const known = JSON.parse(readFileSync(file, 'utf8')) as unknown

  it('say and make the known bytes on noble', () => {
    expect(vectorsOn(noble)).toEqual(known)
  })

  it('say and make the known bytes in WebAssembly', () => {
    const portable = portableSuite()
    expect(portable.kernel.name).toBe('wasm')
    expect(vectorsOn(portable)).toEqual(known)
  })

  it.skipIf(!hasNativeCurve)('say and make the known bytes on libsecp256k1', () => {
    expect(vectorsOn(native)).toEqual(known)
  })
})
