import {
  bytesToHex,
  concatBytes,
  drillCanary,
  equalBytes,
  ProtocolAbort,
  wipe,
  type DrillReport,
  type DrillSubject,
  type Signature,
  type Suite,
} from '@vertex/mpc'
import { noteOf, type Backups } from './backup.js'
import type { Engine } from './engine.js'
import { deletedMeanwhile, VaultError } from './errors.js'
import type {
  Caller,
  DrilledBackup,
  DrillReportInfo,
  DrillRequest,
  IdentityContext,
} from './facade.js'
import { parseHex } from './ids.js'
import type { VaultLog } from './log.js'
import type { Clock, OpenedBackup, VaultIdentityPort } from './ports.js'
import { take, type Rates } from './rates.js'
import type { Place, RoomAccess } from './rooms.js'
import { asRunError } from './run-errors.js'
import type { Run, Runs } from './runs.js'
import { locked, type Setups } from './setups.js'
import type { Trail } from './trail.js'
import type { Units } from './units.js'

const NONCE_BYTES = 32

/** Lets the share in a backup sign once, to show that it can, and forgets it. docs/spec/drill.md */
export class Drills {
  constructor(
    private readonly vault: {
      readonly vaultName: string
      readonly identity: VaultIdentityPort | undefined
    },
    private readonly units: Units,
    private readonly backups: Backups,
    private readonly rooms: RoomAccess,
    private readonly runs: Runs,
    private readonly setups: Setups,
    private readonly engine: Engine,
    private readonly suite: Suite,
    private readonly rates: Rates,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    private readonly trail: Trail,
  ) {}

  async drill(
    caller: Caller,
    request: DrillRequest,
    context: IdentityContext = {},
  ): Promise<DrilledBackup> {
    await take(this.rates, 'imports', caller.userId)
    const place = this.rooms.place(request.roomUuid, request.relayAddress)
    const nonce = parseHex('nonce', request.nonce, NONCE_BYTES)
    // D.2
    const opened = await this.backups.open(caller, request)
    try {
      const shareId = await this.#liveShare(caller, opened)
      await take(this.rates, 'signatures', shareId)
      const { publicKey, epoch, keyId } = opened.header
      const subject: DrillSubject = { publicKey, epoch, blobDigest: opened.digest, nonce }
      const signing = async (run: Run) => {
        try {
          await this.setups.settle(shareId)
          // Again, now that a deletion ends this run.
          if ((await this.#liveShare(caller, opened)) !== shareId) throw deletedMeanwhile()
          const signature = await this.#run(run, place, opened, drillCanary(subject))
          return { signature, ...(await this.#note(caller, shareId, opened)) }
        } finally {
          this.setups.release(run)
        }
      }
      const made = await this.trail.around(
        { action: 'drill', caller, publicKey, values: { blob: request.keyShare } },
        () => this.runs.within(caller.userId, shareId, signing),
      )
      this.log({ event: 'backup_drilled', user_id: caller.userId, key_id: keyId })
      return this.#answer(subject, opened, made, context)
    } finally {
      wipe(opened.record)
    }
  }

  /** The share that is here, which must be the one in the backup: it bears the failures. */
  async #liveShare(caller: Caller, opened: OpenedBackup): Promise<string> {
    const shareId = await this.units.run((uow) => this.backups.agree(uow, caller, opened))
    if (shareId !== undefined) return shareId
    throw new VaultError(
      'key_id_not_exists',
      'the share of this backup is not here: there is nothing to drill, but something to import',
    )
  }

  /** D.4, D.5: one signature by the share in the backup. */
  async #run(run: Run, place: Place, opened: OpenedBackup, canary: Uint8Array): Promise<Signature> {
    const { header, record } = opened
    const shareId = run.subject
    const setups = this.setups.forDrill({ shareId, run })
    const parties = header.parties.length
    const lockedOut = await this.setups.lockedPeers({ shareId, party: header.party, parties })
    if (parties - lockedOut.size < header.threshold) throw locked()
    try {
      const link = await this.rooms.join(run, place, header.parties[header.party - 1]!.keygenId)
      const [signature] = await this.engine.sign({
        link,
        room: place.room,
        record: record.slice(),
        batch: [{ digest: canary, path: [] }],
        setups,
      })
      const { curve } = this.suite
      const signer = curve.recover(signature!, canary)
      if (signer === undefined || !equalBytes(curve.encode(signer), header.publicKey))
        throw new Error('the run of a drill ended with a signature of another key')
      return signature!
    } catch (e) {
      if (e instanceof ProtocolAbort)
        this.log({ event: 'run_aborted', share_id: shareId, code: e.code, round: e.round })
      throw asRunError(e)
    }
  }

  /** D.7: a drill that is not on disk was none. */
  async #note({ userId }: Caller, shareId: string, opened: OpenedBackup) {
    const drilledAt = this.clock.now()
    const { generation } = await this.units.run(async (uow) => {
      await uow.backups.drilled(noteOf({ userId, shareId }, opened), drilledAt)
      return uow.meta.get()
    })
    return { drilledAt, generation }
  }

  #answer(
    subject: DrillSubject,
    { header, secret }: OpenedBackup,
    made: { signature: Signature; drilledAt: number; generation: string },
    { identity: pinned }: IdentityContext,
  ): DrilledBackup {
    const { vaultName, identity } = this.vault
    const { r, s, v } = made.signature
    const { drilledAt, generation } = made
    const answer = {
      drilledAt: new Date(drilledAt),
      digest: bytesToHex(subject.blobDigest),
      signature: { r: bytesToHex(r), s: bytesToHex(s), v },
    }
    if (identity === undefined || secret === undefined) return { ...answer, report: null }
    const report: DrillReport = {
      ...subject,
      vaultName,
      generation,
      userId: header.userId,
      keyId: header.keyId,
      party: header.party,
      secretFingerprint: secret.fingerprint,
      signature: concatBytes(r, s),
      drilledAt,
    }
    const signed = identity.signDrillReport(report, pinned?.toLowerCase())
    return { ...answer, report: infoOf(report, signed) }
  }
}

function infoOf(
  report: DrillReport,
  signed: { readonly publicKey: Uint8Array; readonly signature: Uint8Array },
): DrillReportInfo {
  return {
    vaultName: report.vaultName,
    generation: report.generation,
    userId: report.userId,
    keyId: report.keyId,
    pubkey: bytesToHex(report.publicKey),
    party: report.party,
    epoch: report.epoch,
    digest: bytesToHex(report.blobDigest),
    secretFingerprint: bytesToHex(report.secretFingerprint),
    nonce: bytesToHex(report.nonce),
    r: bytesToHex(report.signature.subarray(0, 32)),
    s: bytesToHex(report.signature.subarray(32)),
    drilledAt: new Date(report.drilledAt),
    identity: bytesToHex(signed.publicKey),
    signature: bytesToHex(signed.signature),
  }
}
