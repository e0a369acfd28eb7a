import {
  decodePairSetup,
  encodeKeyShare,
  encodePairSetup,
  Gadgets,
  readKeyShare,
  runKeygen,
  runSignBatch,
  wipe,
  type AbortCode,
  type Identity,
  type PairSetup,
  type PartyIndex,
  type Quorum,
  type RoomLink,
  type SetupCache,
  type Signable,
  type Signature,
  type Suite,
  type Watch,
} from '@vertex/mpc'
import { limits } from './limits.js'
import type { StoredSetup } from './ports.js'

/**
 * Where protocol runs are computed: in this thread or in others. Everything else knows these functions only. Secrets go
 * in and out encoded, so that they can change threads; whoever is given one owns it and overwrites it.
 */
export interface Engine {
  /** How many runs it takes at one time. */
  readonly capacity: number
  keygen(work: KeygenWork): Promise<MadeKey>
  /** One signature is a batch of one. The work's record and setups are the engine's from here on. */
  sign(work: SignWork): Promise<Signature[]>
}

interface Work {
  /** The joined room. */
  readonly link: RoomLink
  /** The room's 16 bytes. */
  readonly room: Uint8Array
  readonly setups: RunSetups
  /** Told of the rounds once the run has ended well. */
  readonly measured?: ((rounds: readonly RoundTime[]) => void) | undefined
}

/** How long a round took, waiting for the others included. */
export interface RoundTime {
  /** keygen, setup or sign. */
  readonly protocol: string
  readonly round: number
  readonly seconds: number
}

export interface SignWork extends Work {
  /** An encoded KeyShare. */
  readonly record: Uint8Array
  readonly batch: readonly Signable[]
}

export interface KeygenWork extends Work {
  readonly quorum: Quorum
  /** Stays the caller's. */
  readonly identity: Identity
  readonly keygenIds: readonly Uint8Array[]
  /** Makes the share durable, and overwrites its record. */
  keep(made: MadeShare): Promise<void>
}

/** What everybody may know of a new key. */
export interface MadeKey {
  readonly publicKey: Uint8Array
  readonly chainCode: Uint8Array
}

export interface MadeShare extends MadeKey {
  readonly index: PartyIndex
  readonly epoch: number
  readonly quorum: Quorum
  /** An encoded KeyShare. */
  readonly record: Uint8Array
}

/** The OT setups of one run, as the vault lends them. */
export interface RunSetups {
  /** Encoded PairSetups by peer. */
  readonly known: ReadonlyMap<PartyIndex, Uint8Array>
  readonly life: Lifeline
  /** As in SetupCache. Overwrites the record. */
  save(peer: PartyIndex, setup: StoredSetup): Promise<void>
  /** As in SetupCache. */
  retire(setupId: Uint8Array, peer: PartyIndex, code: AbortCode, blamed: boolean): Promise<boolean>
  /** Told of a setup that cannot be decoded. */
  unreadable(peer: PartyIndex): void
}

/**
 * Whether a run may go on: one flag in memory that all threads share, so that the thread which computes the run reads
 * it right before each piece of work without asking anybody.
 */
export class Lifeline {
  readonly #flag: Int32Array

  constructor(readonly memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.#flag = new Int32Array(memory)
  }

  /** For ever. */
  cut(): void {
    Atomics.store(this.#flag, 0, 1)
  }

  get isCut(): boolean {
    return Atomics.load(this.#flag, 0) !== 0
  }
}

/** Computes where it is called. */
export const localEngine = (suite: Suite, gadgets = new Gadgets()): Engine => ({
  capacity: limits.runs,
  async keygen({ setups, measured, ...run }) {
    const lent = new LentSetups(setups, gadgets)
    const rounds: RoundTime[] = []
    try {
      const { publicKey, chainCode } = await runKeygen({
        ...run,
        suite,
        setups: lent,
        watch: measured && intoList(rounds),
        keep: (share) => {
          const { index, epoch, quorum, publicKey, chainCode } = share
          const record = encodeKeyShare(share)
          return run.keep({ index, epoch, quorum, publicKey, chainCode, record })
        },
      })
      measured?.(rounds)
      return { publicKey, chainCode }
    } finally {
      lent.wipe()
    }
  },
  async sign({ record, setups, measured, ...run }) {
    const lent = new LentSetups(setups, gadgets)
    const rounds: RoundTime[] = []
    let identitySecret: Uint8Array | undefined
    try {
      // Its parts were checked when it came in, by keygen or import, and the row seal has kept them together since; a
      // share that is not on its key would fail the protocol's own check of the public key.
      const share = readKeyShare(record, suite.kernel.hash)
      identitySecret = share.identitySecret.reveal()
      wipe(record)
      const watch = measured && intoList(rounds)
      const signatures = await runSignBatch({ ...run, suite, share, setups: lent, watch })
      measured?.(rounds)
      return signatures
    } finally {
      wipe(record)
      if (identitySecret !== undefined) wipe(identitySecret)
      lent.wipe()
      run.link.leave()
    }
  },
})

function intoList(rounds: RoundTime[]): Watch {
  return (protocol) => {
    let began = performance.now()
    return (round) => {
      const now = performance.now()
      rounds.push({ protocol, round, seconds: (now - began) / 1000 })
      began = now
    }
  }
}

/** A run's setup cache on what the vault lends; overwrites what it was lent. */
class LentSetups implements SetupCache {
  readonly #lender: RunSetups
  readonly #gadgets: Gadgets
  readonly #held: PairSetup[] = []

  /** @param gadgets public, and kept from run to run */
  constructor(lender: RunSetups, gadgets: Gadgets) {
    this.#lender = lender
    this.#gadgets = gadgets
  }

  load(peer: PartyIndex): Promise<PairSetup | undefined> {
    const record = this.#lender.known.get(peer)
    const setup = record === undefined ? undefined : this.#decode(peer, record)
    return Promise.resolve(setup)
  }

  save(peer: PartyIndex, setup: PairSetup): Promise<void> {
    this.#held.push(setup)
    return this.#lender.save(peer, { setupId: setup.id, record: encodePairSetup(setup) })
  }

  retire(setupId: Uint8Array, peer: PartyIndex, code: AbortCode, blamed: boolean) {
    return this.#lender.retire(setupId, peer, code, blamed)
  }

  alive(): boolean {
    return !this.#lender.life.isCut
  }

  wipe(): void {
    for (const record of this.#lender.known.values()) wipe(record)
    for (const setup of this.#held) setup.wipe()
  }

  /** A cache that cannot be read is as good as none: the parties make a new setup. */
  #decode(peer: PartyIndex, record: Uint8Array): PairSetup | undefined {
    try {
      const setup = decodePairSetup(record, this.#gadgets)
      this.#held.push(setup)
      if (setup.peer === peer) return setup
    } catch {
      // told below
    }
    this.#lender.unreadable(peer)
    return undefined
  }
}
