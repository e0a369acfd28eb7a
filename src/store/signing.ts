import type { Provenance, SigningRead } from '../vault/ports.js'
import { fromHex, isStorable } from './columns.js'
import type { DatabaseEngine, Row } from './engine.js'
import { SealedValueInvalid } from '../vault/ports.js'
import type { Sealer } from './sealer.js'
import { openSetup } from './setups.js'
import { openShare, toShareRecord, type SealedShareRow } from './shares.js'

/**
 * Everything that a signature needs, in one row for each setup. A standby answers with nothing: it might be behind, and
 * a setup that was retired meanwhile must not come back from there.
 */
const question = (primaryOnly: string) =>
  `SELECT s.share_id, s.user_id, s.public_key, s.party, s.epoch, s.threshold, s.parties, s.keygen_id,
      s.provenance, s.record, s.created_at, s.confirmed_at,
      o.peer AS setup_peer, o.setup_id, o.record AS setup_record,
      (SELECT count(*) FROM crypto_failures f WHERE f.share_id = s.share_id AND f.at > $1) AS failures
    FROM key_handles h
    JOIN shares s ON s.user_id = h.user_id AND s.share_id = h.share_id
    LEFT JOIN ot_setups o ON o.share_id = s.share_id AND o.record IS NOT NULL AND o.retired_at IS NULL
    WHERE h.user_id = $2 AND h.key_id = $3${primaryOnly}`

const questions = {
  sqlite: question(''),
  postgres: question(' AND NOT pg_is_in_recovery()'),
} as const

/** @see VaultStore.readForSigning */
export async function readForSigning(
  engine: DatabaseEngine,
  sealer: Sealer,
  { userId, keyId, since }: { userId: string; keyId: string; since: number },
): Promise<SigningRead | undefined> {
  if (!isStorable(keyId)) return undefined
  const rows = await engine.statement(questions[engine.kind], [since, userId, keyId])
  const [first] = rows
  if (first === undefined) return undefined
  const row = shareRow(first)
  const unreadable: number[] = []
  const setups = rows.flatMap((one) => {
    if (one['setup_id'] === null) return []
    const setupId = one['setup_id'] as string
    const peer = Number(one['setup_peer'])
    try {
      const record = openSetup(sealer, row.shareId, peer, setupId, one['setup_record'] as Buffer)
      return [{ peer, setupId: fromHex(setupId), record }]
    } catch (error) {
      // Only a cache: the share is good without it.
      if (!(error instanceof SealedValueInvalid)) throw error
      unreadable.push(peer)
      return []
    }
  })
  return {
    share: toShareRecord(row),
    record: openShare(sealer, row),
    setups,
    unreadable,
    failures: Number(first['failures']),
  }
}

/** Without the mapper's help, which would cost more than the statement. */
const shareRow = (row: Row): SealedShareRow => ({
  shareId: String(row['share_id']),
  userId: String(row['user_id']),
  publicKey: String(row['public_key']),
  party: Number(row['party']),
  epoch: Number(row['epoch']),
  threshold: Number(row['threshold']),
  parties: Number(row['parties']),
  keygenId: String(row['keygen_id']),
  provenance: String(row['provenance']) as Provenance,
  createdAt: Number(row['created_at']),
  confirmedAt: row['confirmed_at'] === null ? null : Number(row['confirmed_at']),
  record: row['record'] as Buffer,
})
