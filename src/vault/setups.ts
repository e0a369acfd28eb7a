import { bytesToHex, partyIndex, wipe, type AbortCode, type PartyIndex } from '@vertex/mpc'
import type { RunSetups } from './engine.js'
import { VaultError } from './errors.js'
import { limits } from './limits.js'
import type { VaultLog } from './log.js'
import type { Clock, ShareRecord, StoredSetup, UnitOfWork } from './ports.js'
import type { Run } from './runs.js'
import type { Units } from './units.js'

/** How long after a retirement could not be written it is tried again. Milliseconds. */
const WRITE_AGAIN_MS = 1_000

/** A retirement that is not in the database yet. */
interface Retirement {
  readonly peer: PartyIndex
  readonly setupId: Uint8Array
  readonly at: number
  /** Whether the failed check proves that the peer did it. */
  readonly blamed: boolean
  readonly code: AbortCode
  /** Known once it is written: whether another replica had retired the setup before. */
  wasDead?: boolean
}

/** What is lent is lent to this run, of this share. */
export interface SetupUse {
  readonly shareId: string
  readonly run: Run
}

/**
 * The OT setups of all shares, in the database and, for those that died, in memory as well. One failed check ends a
 * setup for ever together with every run on it; what the failed check showed must not be answered before that is on
 * disk.
 */
export class Setups {
  /** Setups that are dead although the database may not say so yet, by hex id. */
  readonly #dead = new Set<string>()
  /** Which runs use a setup, by hex id, and the other way round. */
  readonly #runs = new Map<string, Set<Run>>()
  readonly #held = new Map<Run, string[]>()
  readonly #unwritten = new Map<string, readonly Retirement[]>()
  readonly #writing = new Map<string, Promise<void>>()
  /** Shares whose retirements are tried again soon. */
  readonly #again = new Set<string>()
  #changes = 0

  constructor(
    private readonly units: Units,
    private readonly clock: Clock,
    private readonly log: VaultLog,
  ) {}

  /** How often setups died or were buried: what was read before another count may have changed. */
  get changes(): number {
    return this.#changes
  }

  /**
   * What one run is lent.
   * @param stored setups as they were read; their records go along
   */
  forRun(
    { shareId, run }: SetupUse,
    stored: readonly (StoredSetup & { readonly peer: number })[] = [],
  ): RunSetups {
    const known = new Map<PartyIndex, Uint8Array>()
    for (const { peer, setupId, record } of stored) {
      const id = bytesToHex(setupId)
      if (this.#dead.has(id)) wipe(record)
      else {
        this.#hold(id, run)
        known.set(partyIndex(peer), record)
      }
    }
    return {
      known,
      life: run.life,
      save: (peer, setup) => this.#save({ shareId, run }, peer, setup),
      retire: (setupId, peer, code, blamed) =>
        this.#retire({ shareId, run }, { setupId, peer, code, blamed }),
      unreadable: (peer) => {
        this.unreadable(shareId, peer)
      },
    }
  }

  /** What a drill is lent: no setup that was there before, and none that it makes is kept. docs/spec/drill.md, D.4 */
  forDrill(use: SetupUse): RunSetups {
    return { ...this.forRun(use), save: (peer, setup) => this.#admit(use, peer, setup) }
  }

  /** At the end of a run. */
  release(run: Run): void {
    for (const id of this.#held.get(run) ?? []) {
      const runs = this.#runs.get(id)
      runs?.delete(run)
      if (runs?.size === 0) this.#runs.delete(id)
    }
    this.#held.delete(run)
  }

  /** A cache that cannot be read is as good as none: the parties make a new setup. */
  unreadable(shareId: string, peer: number): void {
    this.log({ event: 'setup_unreadable', share_id: shareId, peer })
  }

  /**
   * Writes what could not be written before. A share with a retirement that only this process remembers does nothing
   * else.
   * @throws VaultError `storage_unavailable`
   */
  async settle(shareId: string): Promise<void> {
    // One writer at a time, so that a failure is counted once; what came meanwhile is written after it.
    while (this.#unwritten.has(shareId)) {
      let writing = this.#writing.get(shareId)
      if (writing === undefined) {
        writing = this.#write(shareId).finally(() => this.#writing.delete(shareId))
        this.#writing.set(shareId, writing)
      }
      await writing
    }
  }

  /** The peers whose failed checks have locked the share. */
  lockedPeers({
    shareId,
    party,
    parties,
  }: Pick<ShareRecord, 'shareId' | 'party' | 'parties'>): Promise<ReadonlySet<number>> {
    return this.units.run(async (uow) => {
      const peers = new Set<number>()
      for (let peer = 1; peer <= parties; peer++)
        if (peer !== party && (await this.#isLocked(uow, shareId, peer))) peers.add(peer)
      return peers
    })
  }

  /** Failed checks after this time count. */
  failuresSince(): number {
    return this.clock.now() - limits.failureWindowMs
  }

  async #isLocked(uow: UnitOfWork, shareId: string, peer: number): Promise<boolean> {
    return (await uow.failures.countSince(shareId, peer, this.failuresSince())) >= limits.failures
  }

  #save(use: SetupUse, peer: PartyIndex, setup: StoredSetup): Promise<void> {
    return this.#admit(use, peer, setup, (uow) =>
      uow.setups.save(use.shareId, peer, setup, this.clock.now()),
    )
  }

  async #admit(
    { shareId, run }: SetupUse,
    peer: PartyIndex,
    setup: StoredSetup,
    keep?: (uow: UnitOfWork) => Promise<void>,
  ): Promise<void> {
    try {
      await this.settle(shareId)
      await this.units.run(async (uow) => {
        // Nothing is signed with a peer that is locked out, and signing begins with a setup.
        if (await this.#isLocked(uow, shareId, peer)) throw locked()
        await keep?.(uow)
      })
    } finally {
      wipe(setup.record)
    }
    this.#hold(bytesToHex(setup.setupId), run)
  }

  async #retire({ shareId, run }: SetupUse, failed: Omit<Retirement, 'at'>): Promise<boolean> {
    const setupId = failed.setupId.slice()
    const id = bytesToHex(setupId)
    // From here on, before anything is awaited, no message of any run on it leaves this process.
    this.#dead.add(id)
    this.#changes++
    for (const other of this.#runs.get(id) ?? []) if (other !== run) other.kill(diedMeanwhile())
    const unwritten = this.#unwritten.get(shareId) ?? []
    const retirement: Retirement = { ...failed, setupId, at: this.clock.now() }
    this.#unwritten.set(shareId, [...unwritten, retirement])
    await this.settle(shareId)
    return retirement.wasDead !== true
  }

  async #write(shareId: string): Promise<void> {
    const retirements = this.#unwritten.get(shareId) ?? []
    try {
      await this.units.runAgainOnConflict(async (uow) => {
        for (const retirement of retirements) {
          const { peer, setupId, at, blamed } = retirement
          retirement.wasDead = !(await uow.setups.retire(shareId, peer, setupId, at))
          if (blamed) await uow.failures.add(shareId, peer, at)
        }
      })
    } catch (e) {
      for (const { peer, code } of retirements)
        this.log({ event: 'setup_retirement_unwritten', share_id: shareId, peer, code })
      this.#killAllOf(shareId)
      this.#tryAgain(shareId)
      if (e instanceof VaultError) throw e
      throw unwritten(e)
    }
    const left = (this.#unwritten.get(shareId) ?? []).filter((r) => !retirements.includes(r))
    if (left.length > 0) this.#unwritten.set(shareId, left)
    else this.#unwritten.delete(shareId)
    for (const { peer, setupId, code } of retirements) {
      this.#dead.delete(bytesToHex(setupId))
      this.#changes++
      this.log({ event: 'setup_retired', share_id: shareId, peer, code })
    }
  }

  /** Without waiting for the next run here: one at another replica would not know. */
  #tryAgain(shareId: string): void {
    if (this.#again.has(shareId)) return
    this.#again.add(shareId)
    setTimeout(() => {
      this.#again.delete(shareId)
      this.settle(shareId).catch(() => undefined) // which has seen to the next time
    }, WRITE_AGAIN_MS).unref()
  }

  /** As long as a retirement is not on disk, no run of the share sends anything. */
  #killAllOf(shareId: string): void {
    for (const run of this.#held.keys()) if (run.subject === shareId) run.kill(unwritten())
  }

  #hold(id: string, run: Run): void {
    const runs = this.#runs.get(id)
    if (runs === undefined) this.#runs.set(id, new Set([run]))
    else runs.add(run)
    const held = this.#held.get(run)
    if (held === undefined) this.#held.set(run, [id])
    else held.push(id)
  }
}

export const locked = () =>
  new VaultError(
    'key_locked',
    'too many failed checks by the other party within 24 hours; the key is locked until they are older',
  )

const unwritten = (cause?: unknown) =>
  new VaultError('storage_unavailable', 'the database refuses; try again', {}, { cause })

const diedMeanwhile = () =>
  new VaultError(
    'session_mismatch',
    'another run on this key found its OT setup broken; start again in a new room',
    { code: 'setup_retired', round: 0, culprits: [], reaction: 'restart' },
  )
