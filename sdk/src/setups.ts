import {
  bytesToHex,
  decodePairSetup,
  encodePairSetup,
  type AbortCode,
  type PairSetup,
  type PartyIndex,
  type SetupCache,
} from '@vertex/mpc'
import { withSignal } from './deadline.js'
import { KeyLockedError, StoreConflictError } from './errors.js'
import type { LiveKey } from './live-key.js'
import type { KeyRecord, RetiredSetup } from './record.js'

/** Failed checks with one party within {@link LOCK_WINDOW_MS} after which the key no longer signs with it. */
const LOCK_AFTER = 5
const LOCK_WINDOW_MS = 24 * 60 * 60 * 1000
const REMEMBERED_RETIREMENTS = 256
/** No run that began before a retirement is still under way after this. */
const LONGEST_RUN_MS = 5 * 60 * 1000

/**
 * The OT setups of one key: a cache in the store, apart from the share. Losing one costs a slower signature; using one
 * after a failed check could cost the key, so a retired id is dead in memory at once and remembered for ever.
 */
export class Setups implements SetupCache {
  readonly #key: LiveKey
  readonly #loaded = new Map<PartyIndex, PairSetup>()
  readonly #retired = new Set<string>()
  /** The record whose retired setups have been remembered. */
  #seen: KeyRecord | undefined
  #settingUp: Promise<void> | undefined

  constructor(key: LiveKey) {
    this.#key = key
  }

  async load(peer: PartyIndex): Promise<PairSetup | undefined> {
    await this.#rememberRetired()
    const loaded = this.#loaded.get(peer)
    if (loaded !== undefined && !this.#isRetired(loaded.id)) return loaded
    const item = await this.#key.store.get('setup', this.#itemId(peer))
    if (item === undefined) return undefined
    let setup: PairSetup
    try {
      setup = decodePairSetup(item.value)
    } catch {
      return undefined // written by another version: made again
    }
    if (setup.peer !== peer || this.#isRetired(setup.id)) return undefined
    // A run may have saved a newer one meanwhile.
    const newer = this.#loaded.get(peer)
    if (newer === undefined) this.#loaded.set(peer, setup)
    return newer ?? setup
  }

  async save(peer: PartyIndex, setup: PairSetup): Promise<void> {
    this.#loaded.set(peer, setup)
    const bytes = encodePairSetup(setup)
    const { store } = this.#key
    for (let attempt = 1; ; attempt++) {
      const version = (await store.get('setup', this.#itemId(peer)))?.version ?? 0
      try {
        await store.put('setup', this.#itemId(peer), bytes, version)
        return
      } catch (error) {
        if (!(error instanceof StoreConflictError) || attempt === 5) throw error
      }
    }
  }

  async retire(
    setupId: Uint8Array,
    peer: PartyIndex,
    _code: AbortCode,
    blamed: boolean,
  ): Promise<boolean> {
    // The record first: should the process end between the two writes, the id is known as retired.
    const isFirst = await this.noteRetired(setupId, peer, blamed)
    await this.forget(peer)
    return isFirst
  }

  /** As `retire`, of a setup that is not in the store. */
  async noteRetired(setupId: Uint8Array, peer: PartyIndex, blamed: boolean): Promise<boolean> {
    const id = bytesToHex(setupId)
    let isFirst = !this.#retired.has(id)
    this.#retired.add(id)
    const at = Date.now()
    if ((await this.#key.recordIfAny()) !== undefined)
      await this.#key.update((record) => {
        // Another client on this store may have been first; then this failure must not be seen, nor counted.
        if (record.retiredSetups.some((retired) => retired.id === id)) {
          isFirst = false
          return record
        }
        return {
          ...record,
          retiredSetups: [...record.retiredSetups, { id, party: peer, at, left: false }].slice(
            -REMEMBERED_RETIREMENTS,
          ),
          failures: blamed ? [...recentFailures(record), { party: peer, at }] : record.failures,
        }
      })
    return isFirst
  }

  alive(setupId: Uint8Array): Promise<boolean> {
    return this.#rememberRetired().then(() => !this.#isRetired(setupId))
  }

  /**
   * Whether a party that would use this setup has gone back in time: it had left the setup behind. A setup that it may
   * not yet know to be retired, or that a run begun before may still offer, says nothing.
   */
  async returned(peer: PartyIndex, setupId: Uint8Array | undefined): Promise<boolean> {
    await this.#rememberRetired()
    if (this.#retired.size === 0) return false
    const offered = setupId === undefined ? undefined : bytesToHex(setupId)
    const settled = Date.now() - LONGEST_RUN_MS
    const record = await this.#key.update((now) => {
      const leaves = (setup: RetiredSetup) =>
        setup.party === peer && setup.id !== offered && !setup.left && setup.at < settled
      if (!now.retiredSetups.some(leaves)) return now
      return {
        ...now,
        retiredSetups: now.retiredSetups.map((setup) =>
          leaves(setup) ? { ...setup, left: true } : setup,
        ),
      }
    })
    return record.retiredSetups.some(({ id, left }) => id === offered && left)
  }

  /** Drops the setup with a party whose other half is gone. */
  async forget(peer: PartyIndex): Promise<void> {
    this.#loaded.delete(peer)
    await this.#key.store.delete('setup', this.#itemId(peer))
  }

  async erase(): Promise<void> {
    this.#loaded.clear()
    for (const id of await this.#key.store.list('setup'))
      if (id.startsWith(`${this.#key.id}.`)) await this.#key.store.delete('setup', id)
  }

  /**
   * Where a setup with one of these parties is missing, lets one run at a time make it; the others wait and find it.
   * The returned function must be called when the run has saved it or ended.
   */
  async turn(peers: readonly PartyIndex[], signal: AbortSignal): Promise<() => void> {
    for (;;) {
      const found = await Promise.all(peers.map((peer) => this.load(peer)))
      if (!found.includes(undefined)) return () => undefined
      const before = this.#settingUp
      if (before === undefined) {
        let done: () => void = () => undefined
        const mine = new Promise<void>((resolve) => (done = resolve))
        this.#settingUp = mine
        return () => {
          if (this.#settingUp === mine) this.#settingUp = undefined
          done()
        }
      }
      await withSignal(before, signal)
    }
  }

  /** Every time anew: another client, even of another process, may have retired one on the same store. */
  #rememberRetired(): Promise<void> {
    return this.#key.recordIfAny().then((record) => {
      if (record === undefined || record === this.#seen) return
      for (const { id } of record.retiredSetups) this.#retired.add(id)
      this.#seen = record
    })
  }

  #isRetired(setupId: Uint8Array): boolean {
    return this.#retired.size > 0 && this.#retired.has(bytesToHex(setupId))
  }

  #itemId(peer: PartyIndex): string {
    return `${this.#key.id}.${peer}`
  }
}

/** The failures that still count. */
function recentFailures(record: KeyRecord): KeyRecord['failures'] {
  const since = Date.now() - LOCK_WINDOW_MS
  return record.failures.filter(({ at }) => at >= since)
}

/** @throws KeyLockedError when too many checks with this party failed lately */
export function refuseLocked(record: KeyRecord, peer: PartyIndex): void {
  if (recentFailures(record).filter(({ party }) => party === peer).length >= LOCK_AFTER)
    throw new KeyLockedError(
      'key_locked',
      `${LOCK_AFTER} checks with party ${peer} failed within 24 hours; the key does not sign with it meanwhile`,
    )
}

/** The setups of a run: as the key's, with an eye on what is saved and on what the other side offers. */
export function watching(
  setups: Setups,
  on: {
    saved: () => void
    /** Throws to end the run. */
    returned: (peer: PartyIndex) => void
  },
): SetupCache {
  return {
    load: (peer) => setups.load(peer),
    retire: (id, peer, code, blamed) => setups.retire(id, peer, code, blamed),
    alive: (id) => setups.alive(id),
    save: async (peer, setup) => {
      await setups.save(peer, setup)
      on.saved()
    },
    offered: async (peer, setupId) => {
      if (await setups.returned(peer, setupId)) on.returned(peer)
    },
  }
}
