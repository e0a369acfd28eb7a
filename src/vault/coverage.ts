import { bytesToHex } from '@vertex/mpc'
import type { Caller, Coverage, CoverageRequest, CoverageSecret, KeyCoverage } from './facade.js'
import { parseUuid } from './ids.js'
import type { BackupSecretHint, CoverageCount, CoveredKey } from './ports.js'
import type { Units } from './units.js'

/** Which keys have a backup, of one caller or of everyone, all of one moment. */
export async function backupCoverage(
  units: Units,
  caller: Caller | undefined,
  request: CoverageRequest,
): Promise<Coverage> {
  const userId = caller?.userId
  const after = request.after === undefined ? undefined : parseUuid('after', request.after)
  const { limit } = request
  const found = await units.run(async (uow) => ({
    // One more than asked for tells whether there are more.
    keys: await uow.backups.coverage({ userId, after, limit: limit + 1 }),
    counts: await uow.backups.count(userId),
    recorded: (await uow.secrets.list('backup')).map(({ fingerprint }) => fingerprint),
  }))
  const keys = found.keys.slice(0, limit)
  return {
    keys: keys.map(keyCoverage),
    next: found.keys.length > limit ? keys.at(-1)!.keyId : null,
    counts: total(found.counts),
    secrets: bySecret(found.counts, found.recorded),
  }
}

function keyCoverage({ keyId, share, backup }: CoveredKey): KeyCoverage {
  const verifiedAt = backup?.verifiedAt ?? null
  return {
    userId: share.userId,
    keyId,
    pubkey: bytesToHex(share.publicKey),
    party: share.party,
    epoch: share.epoch,
    state: backup === undefined ? 'none' : verifiedAt === null ? 'exported' : 'verified',
    exportedAt: date(backup?.exportedAt),
    verifiedAt: date(verifiedAt),
    drilledAt: date(backup?.drilledAt),
    secret: backup?.secret === undefined ? null : shown(backup.secret),
  }
}

const date = (time: number | null | undefined) => (time == null ? null : new Date(time))

const shown = ({ fingerprint, name, version }: BackupSecretHint): CoverageSecret => ({
  fingerprint: bytesToHex(fingerprint),
  name,
  version,
})

function total(counts: readonly CoverageCount[]): Coverage['counts'] {
  const sum = (what: (count: CoverageCount) => number) =>
    counts.reduce((before, count) => before + what(count), 0)
  return {
    none: sum(({ keys, exported }) => keys - exported),
    exported: sum(({ exported, verified }) => exported - verified),
    verified: sum(({ verified }) => verified),
    drilled: sum(({ drilled }) => drilled),
  }
}

/** @param recorded fingerprints of every backup secret this server used, the newest last */
function bySecret(
  counts: readonly CoverageCount[],
  recorded: readonly string[],
): Coverage['secrets'] {
  return counts
    .flatMap(({ secret, exported: keys }) => (secret === undefined ? [] : [{ secret, keys }]))
    .map(({ secret, keys }) => ({ ...shown(secret), keys }))
    .map((each) => ({ ...each, newest: each.fingerprint === recorded.at(-1) }))
    .sort((a, b) => recorded.indexOf(b.fingerprint) - recorded.indexOf(a.fingerprint))
}
