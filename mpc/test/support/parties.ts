import { randomBytes } from 'node:crypto'
import {
  compareBytes,
  createIdentity,
  nobleSuite,
  partyIndex,
  quorum,
  startKeygen,
  startPairSetup,
  startSignFirst,
  startSignMany,
  startSignSecond,
  type KeygenInput,
  type KeyShare,
  type PairSetup,
  type PartyIndex,
  type Signature,
  type SignInput,
  type Step,
  type Suite,
} from '@vertex/mpc'
import { loadNativeCurve, nativeSuite } from '@vertex/mpc/native'
import { finish, simulate, type Outcome, type Tamper } from './simulate.js'

export const noble = nobleSuite()
export const native = nativeSuite()
/** Whether the native suite really stands on libsecp256k1 here, and is not noble again. */
export const hasNativeCurve = loadNativeCurve() !== undefined

/** A suite for each party: party i gets the i-th, the last one serves the rest. */
export type Suites = readonly Suite[]
const suiteOf = (suites: Suites, i: PartyIndex) => suites[Math.min(i, suites.length) - 1]!

/** What each party of a new key brings to its keygen. */
export function keygenInputs(threshold: number, parties: number, suites: Suites): KeygenInput[] {
  const identities = Array.from({ length: parties }, (_, at) =>
    createIdentity(noble.channel, at === 0 ? 'client' : 'vertex'),
  ).sort((a, b) => compareBytes(a.keygenId, b.keygenId))
  const sid = randomBytes(32)
  return identities.map(({ secret }, at) => ({
    suite: suiteOf(suites, partyIndex(at + 1)),
    sid,
    quorum: quorum(threshold, parties),
    me: partyIndex(at + 1),
    keygenIds: identities.map(({ keygenId }) => keygenId),
    identitySecret: secret,
  }))
}

/** One keygen with cheating, if any. */
export function keygen(
  inputs: readonly KeygenInput[],
  tampers: readonly Tamper[] = [],
): Outcome<KeyShare, KeyShare> {
  return simulate(new Map(inputs.map((input) => [input.me, startKeygen(input)])), tampers)
}

/** A new key: all parties' shares, in rank order. */
export function newKey(threshold: number, parties: number, ...suites: Suites): KeyShare[] {
  const inputs = keygenInputs(threshold, parties, suites.length === 0 ? [native] : suites)
  return [...finish(keygen(inputs), parties).values()]
}

/** What is needed to sign with a key in tests: all shares, and each party's OT setups. */
export interface Key {
  readonly shares: readonly KeyShare[]
  readonly suites: Suites
  readonly setups: ReadonlyMap<PartyIndex, ReadonlyMap<PartyIndex, PairSetup>>
}

/**
 * A new key with an OT setup between every two of `among`, which are all parties unless told otherwise. A setup holds
 * no points, so one made on one backend serves on any; it is by far the dearest part on noble.
 */
export function readyKey(
  threshold: number,
  parties: number,
  suites: Suites = [native],
  { among, setupsOn = suites }: { among?: readonly number[]; setupsOn?: Suites } = {},
): Key {
  const shares = newKey(threshold, parties, ...suites)
  const setups = new Map<PartyIndex, Map<PartyIndex, PairSetup>>(
    shares.map(({ index }) => [index, new Map()]),
  )
  const able = shares.map(({ index }) => index).filter((i) => among?.includes(i) ?? true)
  for (const i of able)
    for (const j of able.filter((other) => other > i)) {
      const sid = randomBytes(32)
      const start = (me: PartyIndex, peer: PartyIndex, first: boolean) =>
        startPairSetup({
          suite: suiteOf(setupsOn, me),
          sid,
          me,
          peer,
          first,
          hedgeSecret: shares[me - 1]!.identitySecret.reveal(),
        })
      const done = finish(
        simulate(
          new Map([
            [i, start(i, j, true)],
            [j, start(j, i, false)],
          ]),
        ),
        2,
      )
      setups.get(i)!.set(j, done.get(i)!)
      setups.get(j)!.set(i, done.get(j)!)
    }
  return { shares, suites, setups }
}

/** What a signature is about; what is left out is drawn or empty. */
export interface Signing {
  readonly signers: readonly number[]
  readonly digest?: Uint8Array
  readonly path?: readonly number[]
  readonly sid?: Uint8Array
  /** Changes one signer's input, to make it cheat or err from the start. */
  readonly inputOf?: (input: SignInput) => SignInput
}

/** What each signer brings. */
export function signInputs(key: Key, signing: Signing): SignInput[] {
  const sid = signing.sid ?? randomBytes(32)
  const digest = signing.digest ?? randomBytes(32)
  const signers = signing.signers.map(partyIndex)
  return signers.map((i) => {
    const input: SignInput = {
      suite: suiteOf(key.suites, i),
      sid,
      share: key.shares[i - 1]!,
      signers,
      setups: key.setups.get(i)!,
      digest,
      path: signing.path ?? [],
    }
    return signing.inputOf?.(input) ?? input
  })
}

/** One signature: flights with two signers, rounds with more, or rounds anyway. */
export function sign(
  key: Key,
  signing: Signing,
  tampers: readonly Tamper[] = [],
  rounds = signing.signers.length > 2,
): Outcome<Signature, never> {
  const inputs = signInputs(key, signing)
  const start = (input: SignInput, at: number): Step<Signature> =>
    rounds ? startSignMany(input) : at === 0 ? startSignFirst(input) : startSignSecond(input)
  return simulate(
    new Map(inputs.map((input, at) => [input.share.index, start(input, at)])),
    tampers,
  )
}
