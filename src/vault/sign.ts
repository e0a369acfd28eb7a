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
  type Signable,
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

/** What is signed where, checked: one signature, or a batch of one key. */
interface Job {
  readonly place: Place
  readonly batch: readonly Signable[]
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
  ): Promise<SignatureHex> {
    const [signature] = await this.#inOneRun(caller, [request], context, this.rooms.newDeadline())
    return signature!
  }

  /**
   * Requests that name one room are one run; there is an entry for each request, in the order given. What ends a run
   * is the entry of all its requests, and touches no others. A few runs at a time, one deadline for all.
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
    const rooms = byRoom(requests).values()
    const worker = async () => {
      for (const places of rooms) {
        const together = places.map((at) => requests[at]!)
        try {
          const signatures = await this.#inOneRun(caller, together, context, deadline)
          places.forEach((at, i) => (entries[at] = { signature: signatures[i]! }))
        } catch (error) {
          // A bug of ours fails the whole batch: it must be seen, not filed under an entry.
          if (!(error instanceof VaultError)) throw error
          for (const at of places) entries[at] = { error }
        }
      }
    }
    await Promise.all(Array.from({ length: limits.runsPerShare }, worker))
    return entries
  }

  /** Signs what requests of one room ask for: all of it or nothing. */
  async #inOneRun(
    caller: Caller,
    requests: readonly SignRequest[],
    context: IdentityContext,
    deadline: number,
  ): Promise<SignatureHex[]> {
    const job = this.#parse(requests, deadline)
    const key = await this.keys.findReady(caller, requests[0]!.keyId, context)
    const signatures = await this.runs.within(caller.userId, key.share.shareId, async (run) => {
      try {
        return await this.#run(run, caller, key, job, context)
      } finally {
        this.setups.release(run)
      }
    })
    return signatures.map(({ r, s, v }) => ({
      r: bytesToHex(r),
      s: bytesToHex(s),
      v,
      der: bytesToHex(encodeDer(r, s)),
    }))
  }

  #parse(requests: readonly SignRequest[], deadline: number): Job {
    const [{ keyId, roomUuid, relayAddress }] = requests as [SignRequest]
    const place = this.rooms.place(roomUuid, relayAddress, deadline)
    for (const other of requests) {
      if (other.keyId.toLowerCase() !== keyId.toLowerCase())
        throw badRequest('requests that name one room are of one key_id')
      if (other.relayAddress?.toLowerCase() !== relayAddress?.toLowerCase())
        throw badRequest('requests that name one room have one relay_address')
    }
    return { place, batch: requests.map(parseSignable) }
  }

  async #run(
    run: Run,
    caller: Caller,
    key: KeyRecord,
    { place, batch }: Job,
    context: IdentityContext,
  ): Promise<Signature[]> {
    const { shareId, userId, confirmedAt, keygenId } = key.share
    await this.setups.settle(shareId)
    const share = await this.#open(key, caller, context)
    try {
      const link = await this.rooms.join(run, place, keygenId)
      const setups = this.setups.cacheFor({ shareId, run })
      const { room } = place
      const signatures = await this.engine.sign({ link, room, share, batch, setups })
      // The others proved their identity keys, and their shares with the signatures.
      if (confirmedAt === null) {
        const at = this.clock.now()
        if (!(await this.units.run((uow) => uow.shares.confirm(userId, shareId, at))))
          throw deletedMeanwhile()
      }
      return signatures
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

/** The places of the requests in the batch, by the room they name, in the order of their first. */
function byRoom(requests: readonly SignRequest[]): number[][] {
  const rooms = new Map<string, number[]>()
  requests.forEach(({ roomUuid }, at) => {
    const room = roomUuid.toLowerCase()
    const places = rooms.get(room)
    if (places === undefined) rooms.set(room, [at])
    else places.push(at)
  })
  return [...rooms.values()]
}

function parseSignable(request: SignRequest): Signable {
  const path = parsePath(request.derivationPath)
  if (request.extraData !== undefined) parseHex('extra_data', request.extraData)
  const message = parseHex('msg', request.msg)
  const algo = request.hashAlgo.toLowerCase()
  if (!isHashAlgo(algo)) throw badRequest(`hash_algo is one of ${hashAlgos.join(', ')}`)
  try {
    return { path, digest: digestOf(message, algo) }
  } catch (e) {
    if (e instanceof RangeError) throw badRequest(e.message)
    throw e
  }
}

const isHashAlgo = (algo: string): algo is HashAlgo =>
  (hashAlgos as readonly string[]).includes(algo)
