import {
  decodeEntry,
  encodeExtra,
  formatLogProof,
  inclusionPath,
  openCheckpoint,
  type Checkpoint,
  type VerifierKey,
} from '@vertex/directory/log'
import { isStorable } from '../../store/columns.js'
import type { UnitStore } from '../../store/index.js'
import type { LoggedRecord } from '../system.js'
import { LEAVES, STATE } from './tables.js'
import { hashesOf, tilesOf } from './tree.js'

/** The last tree that was signed, and what was signed. */
export type SignedTree = Checkpoint & { readonly text: string }

/** The whole proof of a record; or why there is none: the log does not have it, or no checkpoint yet. */
export type RecordProof = { readonly text: string } | { readonly missing: 'unknown' | 'waiting' }

/** The log as far as it is signed. */
export class SignedLog {
  /** The last checkpoint that was verified, which costs more than all else here. */
  #verified: SignedTree | undefined

  constructor(
    readonly store: UnitStore,
    readonly key: VerifierKey,
  ) {}

  /** Undefined before the first one, or after a change of name, for a moment; or somebody has put another one there. */
  async last(): Promise<SignedTree | undefined> {
    const [row] = await this.store.select(`SELECT checkpoint FROM ${STATE}`, [])
    const text = row === undefined ? '' : String(row['checkpoint'])
    if (this.#verified?.text === text) return this.#verified
    const checkpoint = openCheckpoint(text, this.key)
    if (checkpoint === undefined) return undefined
    this.#verified = { ...checkpoint, text }
    return this.#verified
  }

  /** The proof of a record that stands by itself. 3.9 */
  async proofOf({ kind, source }: LoggedRecord, last: SignedTree): Promise<RecordProof> {
    if (!isStorable(source)) return { missing: 'unknown' }
    const [row] = await this.store.select(
      `SELECT idx, salt, entry FROM ${LEAVES} WHERE kind = $1 AND source = $2`,
      [kind, source],
    )
    if (row === undefined) return { missing: 'unknown' }
    const index = row['idx'] === null ? last.size : Number(row['idx'])
    if (index >= last.size) return { missing: 'waiting' }
    const entry = decodeEntry(new Uint8Array(row['entry'] as Buffer))
    const salt = row['salt'] as Buffer | null
    if (entry === undefined || salt === null) throw new Error('an entry of the log is damaged')
    const hashes = await hashesOf(tilesOf(this.store), inclusionPath(index, last.size), last.size)
    const extra = encodeExtra(new Uint8Array(salt), entry.time)
    return { text: formatLogProof({ extra, index, hashes }, last.text) }
  }
}
