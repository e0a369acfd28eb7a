import {
  bytesToHex,
  decodePairSetup,
  encodePairSetup,
  equalBytes,
  wipe,
  type AbortCode,
  type PairSetup,
  type PartyIndex,
  type SetupCache,
} from '@vertex/mpc'
import { VaultError } from './errors.js'
import { limits } from './limits.js'
import type { VaultLog } from './log.js'
import { SealedValueInvalid, type Clock, type StoredSetup, type UnitOfWork } from './ports.js'
import type { Run } from './runs.js'
import type { Units } from './units.js'

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

/** What a run's setup cache must know of the run. */
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
  readonly #held = new Map<Run, PairSetup[]>()
  readonly #unwritten = new Map<string, readonly Retirement[]>()
  readonly #writing = new Map<string, Promise<void>>()

  constructor(
    private readonly units: Units,
    private readonly clock: Clock,
    private readonly log: VaultLog,
  ) {}

  /** The cache that one run uses. */
  cacheFor(use: SetupUse): SetupCache {
    return {
      load: (peer) => this.#load(use, peer),
      save: (peer, setup) => this.#save(use, peer, setup),
      retire: (setupId, peer, code, blamed) => this.#retire(use, { setupId, peer, code, blamed }),
      alive: (setupId) => this.#alive(use, setupId),
    }
  }

  /** At the end of a run: overwrites the setups it was given. */
  release(run: Run): void {
    for (const setup of this.#held.get(run) ?? []) {
      const id = bytesToHex(setup.id)
      const runs = this.#runs.get(id)
      runs?.delete(run)
      if (runs?.size === 0) this.#runs.delete(id)
      setup.wipe()
    }
    this.#held.delete(run)
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

  /** Whether this peer's failed checks have locked the share. */
  async isLocked(uow: UnitOfWork, shareId: string, peer: number): Promise<boolean> {
    const since = this.clock.now() - limits.failureWindowMs
    return (await uow.failures.countSince(shareId, peer, since)) >= limits.failures
  }

  async #load({ shareId, run }: SetupUse, peer: PartyIndex): Promise<PairSetup | undefined> {
    await this.settle(shareId)
    const stored = await this.#read(shareId, peer)
    if (stored === undefined || this.#dead.has(bytesToHex(stored.setupId))) return undefined
    const setup = this.#decode(shareId, peer, stored)
    if (setup !== undefined) this.#hold(setup, run)
    return setup
  }

  async #read(shareId: string, peer: PartyIndex): Promise<StoredSetup | undefined> {
    try {
      return await this.units.run(async (uow) => {
        // A run asks for the setups with all parties before it knows who has come; see #save for those locked out.
        if (await this.isLocked(uow, shareId, peer)) return undefined
        return uow.setups.load(shareId, peer)
      })
    } catch (e) {
      if (!(e instanceof SealedValueInvalid)) throw e
      this.log({ event: 'setup_unreadable', share_id: shareId, peer })
      return undefined
    }
  }

  /** A cache that cannot be read is as good as none: the parties make a new setup. */
  #decode(shareId: string, peer: PartyIndex, stored: StoredSetup): PairSetup | undefined {
    try {
      const setup = decodePairSetup(stored.record)
      if (setup.peer === peer && equalBytes(setup.id, stored.setupId)) return setup
    } catch {
      // told below
    } finally {
      wipe(stored.record)
    }
    this.log({ event: 'setup_unreadable', share_id: shareId, peer })
    return undefined
  }

  async #save({ shareId, run }: SetupUse, peer: PartyIndex, setup: PairSetup): Promise<void> {
    const record = encodePairSetup(setup)
    try {
      await this.units.run(async (uow) => {
        // Nothing is signed with a peer that is locked out, and signing begins with a setup.
        if (await this.isLocked(uow, shareId, peer)) throw locked()
        await uow.setups.save(shareId, peer, { setupId: setup.id, record }, this.clock.now())
      })
    } finally {
      wipe(record)
    }
    this.#hold(setup, run)
  }

  async #retire({ shareId, run }: SetupUse, failed: Omit<Retirement, 'at'>): Promise<boolean> {
    const setupId = failed.setupId.slice()
    const id = bytesToHex(setupId)
    // From here on, before anything is awaited, no message of any run on it leaves this process.
    this.#dead.add(id)
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
      if (e instanceof VaultError) throw e
      throw new VaultError(
        'storage_unavailable',
        'the database refuses; try again',
        {},
        { cause: e },
      )
    }
    const left = (this.#unwritten.get(shareId) ?? []).filter((r) => !retirements.includes(r))
    if (left.length > 0) this.#unwritten.set(shareId, left)
    else this.#unwritten.delete(shareId)
    for (const { peer, setupId, code } of retirements) {
      this.#dead.delete(bytesToHex(setupId))
      this.log({ event: 'setup_retired', share_id: shareId, peer, code })
    }
  }

  async #alive({ shareId, run }: SetupUse, setupId: Uint8Array): Promise<boolean> {
    if (run.isKilled() || this.#unwritten.has(shareId)) return false
    if (!(await this.units.run((uow) => uow.setups.isAlive(setupId)))) return false
    // It may have died while the database was asked.
    return !this.#dead.has(bytesToHex(setupId)) && !run.isKilled()
  }

  #hold(setup: PairSetup, run: Run): void {
    const id = bytesToHex(setup.id)
    const runs = this.#runs.get(id)
    if (runs === undefined) this.#runs.set(id, new Set([run]))
    else runs.add(run)
    const held = this.#held.get(run)
    if (held === undefined) this.#held.set(run, [setup])
    else held.push(setup)
  }
}

export const locked = () =>
  new VaultError(
    'key_locked',
    'too many failed checks by the other party within 24 hours; the key is locked until they are older',
  )

const diedMeanwhile = () =>
  new VaultError(
    'session_mismatch',
    'another run on this key found its OT setup broken; start again in a new room',
    { code: 'setup_retired', round: 0, culprits: [], reaction: 'restart' },
  )
