import {
  bytesToHex,
  decodeKeyShare,
  digestOf,
  encodeDer,
  hashAlgos,
  ProtocolAbort,
  wipe,
  type HashAlgo,
  type KeyShare,
  type Signature,
  type Suite,
} from '@vertex/mpc'
import type { Engine } from './engine.js'
import { deletedMeanwhile, VaultError } from './errors.js'
import type { BatchEntry, Caller, IdentityContext, SignatureHex, SignRequest } from './facade.js'
import { badRequest, parseHex } from './ids.js'
import { parsePath, type Keys } from './key.js'
import { limits } from './limits.js'
import type { VaultLog } from './log.js'
import type { NotExists } from './not-exists.js'
import type { Clock, KeyRecord } from './ports.js'
import type { Place, RoomAccess } from './rooms.js'
import { asRunError } from './run-errors.js'
import type { Run, Runs } from './runs.js'
import { locked, type Setups } from './setups.js'
import type { Units } from './units.js'

/** What is signed where, checked. */
interface Job {
  readonly place: Place
  readonly digest: Uint8Array
  readonly path: readonly number[]
}

/** Takes part in signatures. */
export class Signing {
  constructor(
    private readonly units: Units,
    private readonly keys: Keys,
    private readonly rooms: RoomAccess,
    private readonly runs: Runs,
    private readonly setups: Setups,
    private readonly engine: Engine,
    private readonly suite: Suite,
    private readonly notExists: NotExists,
    private readonly clock: Clock,
    private readonly log: VaultLog,
  ) {}

  async sign(
    caller: Caller,
    request: SignRequest,
    context: IdentityContext = {},
    deadline = this.rooms.newDeadline(),
  ): Promise<SignatureHex> {
    const job = this.#parse(request, deadline)
    const key = await this.keys.findReady(caller, request.keyId, context)
    const { r, s, v } = await this.runs.within(caller.userId, key.share.shareId, async (run) => {
      try {
        return await this.#run(run, caller, key, job, context)
      } finally {
        this.setups.release(run)
      }
    })
    return { r: bytesToHex(r), s: bytesToHex(s), v, der: bytesToHex(encodeDer(r, s)) }
  }

  /**
   * Each request by itself, in the order given, a few at a time; one deadline for all. An error of one entry does not
   * touch the others.
   */
  async batch(
    caller: Caller,
    requests: readonly SignRequest[],
    context: IdentityContext = {},
  ): Promise<BatchEntry[]> {
    if (requests.length === 0) throw badRequest('a batch has at least one request')
    if (requests.length > limits.batch)
      throw new VaultError('batch_too_large', `a batch takes at most ${limits.batch} requests`)
    const deadline = this.rooms.newDeadline()
    const entries: BatchEntry[] = []
    const jobs = requests.entries()
    const worker = async () => {
      for (const [i, request] of jobs) {
        try {
          entries[i] = { signature: await this.sign(caller, request, context, deadline) }
        } catch (e) {
          // A bug of ours fails the whole batch: it must be seen, not filed under an entry.
          if (!(e instanceof VaultError)) throw e
          entries[i] = { error: e }
        }
      }
    }
    await Promise.all(Array.from({ length: limits.runsPerShare }, worker))
    return entries
  }

  #parse(request: SignRequest, deadline: number): Job {
    const place = this.rooms.place(request.roomUuid, request.relayAddress, deadline)
    const path = parsePath(request.derivationPath)
    if (request.extraData !== undefined) parseHex('extra_data', request.extraData)
    const message = parseHex('msg', request.msg)
    const algo = request.hashAlgo.toLowerCase()
    if (!isHashAlgo(algo)) throw badRequest(`hash_algo is one of ${hashAlgos.join(', ')}`)
    try {
      return { place, path, digest: digestOf(message, algo) }
    } catch (e) {
      if (e instanceof RangeError) throw badRequest(e.message)
      throw e
    }
  }

  async #run(
    run: Run,
    caller: Caller,
    key: KeyRecord,
    { place, digest, path }: Job,
    context: IdentityContext,
  ): Promise<Signature> {
    const { shareId, userId, confirmedAt, keygenId } = key.share
    await this.setups.settle(shareId)
    const share = await this.#open(key, caller, context)
    try {
      const link = await this.rooms.join(run, place, keygenId)
      const setups = this.setups.cacheFor({ shareId, run })
      const { room } = place
      const signature = await this.engine.sign({
        link,
        room,
        share,
        digest,
        path,
        setups,
      })
      // The others proved their identity keys, and their shares with the signature.
      if (confirmedAt === null) {
        const at = this.clock.now()
        if (!(await this.units.run((uow) => uow.shares.confirm(userId, shareId, at))))
          throw deletedMeanwhile()
      }
      return signature
    } catch (e) {
      if (e instanceof ProtocolAbort)
        this.log({ event: 'run_aborted', share_id: shareId, code: e.code, round: e.round })
      throw asRunError(e)
    }
  }

  /** Opens the share, unless so many peers are locked out that no quorum is left. */
  async #open(key: KeyRecord, caller: Caller, context: IdentityContext): Promise<KeyShare> {
    const { shareId, userId, party, parties, threshold } = key.share
    const record = await this.units.run(async (uow) => {
      let usable = 1
      for (let peer = 1; peer <= parties; peer++)
        if (peer !== party && !(await this.setups.isLocked(uow, shareId, peer))) usable++
      if (usable < threshold) throw locked()
      return uow.shares.open(userId, shareId)
    })
    if (record === undefined) throw await this.notExists.error(caller, key.handle.keyId, context)
    try {
      return decodeKeyShare(this.suite, record)
    } finally {
      wipe(record)
    }
  }
}

const isHashAlgo = (algo: string): algo is HashAlgo =>
  (hashAlgos as readonly string[]).includes(algo)
