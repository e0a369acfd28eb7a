import { randomBytes } from '@noble/hashes/utils.js'
import { sha256 } from '@noble/hashes/sha2.js'
import {
  bytesToHex,
  concatBytes,
  drillCanary,
  encodeDer,
  hexToBytes,
  parseRoomUuid,
  runSignBatch,
  verifyDrillReport as verifyReport,
  type DrillSubject,
  type PairSetup,
  type RoomLink,
  type SetupCache,
} from '@vertex/mpc'
import { verify } from './backups.js'
import type { Context } from './context.js'
import type { Deadline } from './deadline.js'
import { BackupError, IdentityError, RequestError, VertexError } from './errors.js'
import type { components } from './generated/api.js'
import { identityHeaders } from './identity-headers.js'
import { vertexAt, type LiveKey } from './live-key.js'
import { partyOf } from './parties.js'
import type { Backup } from './record.js'
import { proveIdentity } from './recovery.js'
import { refuseLocked, type Setups } from './setups.js'
import type { Signature } from './signing.js'
import { bothSides, CallFailed } from './two-sided.js'
import type { VertexClient } from './vertex-client.js'

/** What a vault signed of a drill, as it travels; {@link verifyDrillReport} checks it, also years later. */
export type DrillReport = components['schemas']['DrillReport']

/** A backup that has signed. */
export interface DrilledBackup {
  /** 33 bytes, compressed, hex. */
  readonly publicKey: string
  readonly epoch: number
  /** SHA-256 of the backup, hex. */
  readonly digest: string
  /** When the Vertex saw the signature, ISO 8601. */
  readonly drilledAt: string
  /** Of the backup secret that opened it; null for a plaintext one. */
  readonly secretVersion: string | null
  /** Over the canary, verified under the pinned key. */
  readonly signature: Signature
  /** Null for a plaintext backup: such a Vertex has no identity that could sign it. */
  readonly report: DrillReport | null
}

/**
 * Has the share in a backup sign together with this party's share, in a fresh room and with an OT setup that is
 * forgotten. Nothing is stored here. docs/spec/drill.md
 */
export async function drill(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  at: number,
  backup: Backup,
  deadline: Deadline,
): Promise<DrilledBackup> {
  const { signal } = deadline
  const { main, suite } = context
  const record = await key.record()
  const vertex = vertexAt(record, at)
  if (record.threshold !== 2)
    throw new RequestError(
      'bad_argument',
      'only a key that two parties sign with can be drilled; verify the backups of this one',
    )
  const blob = bytesOf(backup)
  const signer = key.signer(suite, record)
  const { share } = signer
  refuseLocked(record, partyOf(share, vertex.keygenId))
  // D.1: nobody else gets the backup, and a backup that no import would take needs no room.
  await proveIdentity(context, client, key, vertex, signal)
  const { secretVersion } = await verify(client, record, backup, signal)
  const subject: DrillSubject = {
    publicKey: share.publicKey,
    epoch: share.epoch,
    blobDigest: sha256(blob),
    nonce: randomBytes(32),
  }
  const roomUuid = await main.rooms.open(2, signal)
  const setups = new DrillSetups(key.setups)
  const call = (callSignal: AbortSignal) =>
    client.answers.drillKeyShare({
      signal: callSignal,
      headers: identityHeaders(subject.nonce, vertex.identity?.fingerprint),
      body: {
        ...backup,
        room_uuid: roomUuid,
        nonce: bytesToHex(subject.nonce),
        ...(client === main ? {} : { relay_address: main.http.relayAddress }),
      },
    })
  const run = (link: RoomLink) =>
    runSignBatch({
      suite,
      link,
      room: parseRoomUuid(roomUuid),
      ...signer,
      batch: [{ digest: drillCanary(subject), path: [] }],
      setups,
    })
  const keygenId = share.keygenIds[share.index - 1]!
  try {
    const { result, answers } = await bothSides(
      deadline,
      (joinSignal) => main.relay.join(roomUuid, keygenId, joinSignal),
      run,
      [call],
    )
    const { r, s, v } = result[0]!
    const [answer] = (await answers) as Awaited<ReturnType<typeof call>>[]
    const { report, drilledAt } = answer!
    const expected = { subject, signature: concatBytes(r, s), drilledAt }
    if (vertex.identity !== null && !isOurs(report, vertex.identity.publicKey, expected))
      throw new IdentityError(
        'identity_mismatch',
        'the backup has signed, but the report of it is not by the pinned vault identity, or of another drill',
      )
    return {
      publicKey: record.publicKey,
      epoch: record.epoch,
      digest: bytesToHex(subject.blobDigest),
      drilledAt,
      secretVersion,
      signature: { r, s, v, der: encodeDer(r, s) },
      report: vertex.identity === null ? null : report,
    }
  } catch (error) {
    throw error instanceof CallFailed ? error.error : error
  } finally {
    setups.wipe()
  }
}

/**
 * Whether a vault identity made this report, and the key the signature in it, which no vault can make alone.
 * @param identity its Ed25519 public key, 32 bytes: the pinned one, since a report names its own
 */
export function verifyDrillReport(report: DrillReport, identity: Uint8Array): boolean {
  try {
    return verifyReport(
      identity,
      {
        vaultName: report.vault_name,
        generation: report.generation,
        userId: report.user_id,
        keyId: report.key_id,
        publicKey: hexToBytes(report.pubkey),
        party: report.party,
        epoch: report.epoch,
        blobDigest: hexToBytes(report.digest),
        secretFingerprint: hexToBytes(report.secret_fingerprint),
        nonce: hexToBytes(report.nonce),
        signature: hexToBytes(report.r + report.s),
        drilledAt: Date.parse(report.drilled_at),
      },
      hexToBytes(report.signature),
    )
  } catch {
    return false // a part of another form: nobody signed that
  }
}

/** D.8 */
function isOurs(
  report: DrillReport | null,
  identity: string,
  own: {
    readonly subject: DrillSubject
    readonly signature: Uint8Array
    readonly drilledAt: string
  },
): boolean {
  const { publicKey, epoch, blobDigest, nonce } = own.subject
  return (
    report !== null &&
    report.pubkey === bytesToHex(publicKey) &&
    report.epoch === epoch &&
    report.digest === bytesToHex(blobDigest) &&
    report.nonce === bytesToHex(nonce) &&
    report.r + report.s === bytesToHex(own.signature) &&
    report.drilled_at === own.drilledAt &&
    verifyDrillReport(report, hexToBytes(identity))
  )
}

/** The OT setups of one drill: none before it, none after it. What a failed check leaves is the key's. */
class DrillSetups implements SetupCache {
  readonly #made: PairSetup[] = []

  constructor(private readonly live: Setups) {}

  load() {
    return Promise.resolve(undefined)
  }

  save(_peer: number, setup: PairSetup) {
    this.#made.push(setup)
    return Promise.resolve()
  }

  retire(...failed: Parameters<SetupCache['retire']>) {
    const [setupId, peer, , blamed] = failed
    return this.live.noteRetired(setupId, peer, blamed)
  }

  alive(setupId: Uint8Array) {
    return this.live.alive(setupId)
  }

  wipe(): void {
    for (const setup of this.#made) setup.wipe()
  }
}

function bytesOf({ key_share }: Backup): Uint8Array {
  try {
    return Uint8Array.from(atob(key_share), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw new BackupError('backup_invalid', 'the backup is not base64', { cause })
  }
}

/** The stored backup, or the one given. @throws VertexError `backup_missing` */
export function backupToUse(stored: Backup | null, given: Backup | undefined): Backup {
  const backup = given ?? stored
  if (backup === null) throw new VertexError('backup_missing', 'there is no backup of this share')
  return backup
}
