import {
  bytesToHex,
  digestOf,
  encodeDer,
  hashAlgos,
  ProtocolAbort,
  type HashAlgo,
  type Signable,
  type Signature,
} from '@vertex/mpc'
import type { Engine } from './engine.js'
import { deletedMeanwhile, VaultError } from './errors.js'
import type { BatchEntry, Caller, IdentityContext, SignatureHex, SignRequest } from './facade.js'
import { badRequest, parseHex, parseUuid } from './ids.js'
import { parsePath, type Keys } from './key.js'
import { limits } from './limits.js'
import type { VaultLog } from './log.js'
import type { NotExists } from './not-exists.js'
import type { Clock, SigningRead } from './ports.js'
import { take, type Rates } from './rates.js'
import { Reading } from './reading.js'
import type { Place, RoomAccess } from './rooms.js'
import { asRunError } from './run-errors.js'
import type { Run, Runs } from './runs.js'
import { locked, type Setups } from './setups.js'
import { heldBack, type Deed, type Trail } from './trail.js'
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
    private readonly rates: Rates,
    private readonly engine: Engine,
    private readonly notExists: NotExists,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    private readonly trail: Trail,
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
    const keyId = parseUuid('key_id', requests[0]!.keyId)
    const reading = new Reading(
      () => this.#read(caller, keyId, context),
      () => this.runs.kills + this.setups.changes,
    )
    try {
      const { shareId, publicKey } = (await reading.begin()).share
      await take(this.rates, 'signatures', shareId, requests.length)
      const size = Math.ceil(requests.length / limits.batchPerRun)
      const digests = job.batch.map(({ digest }) => bytesToHex(digest)).join()
      const deed: Deed = { action: 'sign', caller, publicKey, values: { key_id: keyId, digests } }
      const signatures = await this.trail.signing(deed, (begin) => {
        const work = async (run: Run) => {
          try {
            const recorded = begin()
            await this.setups.settle(shareId)
            return await this.#run(run, job, await reading.current(run.waited), recorded)
          } finally {
            this.setups.release(run)
          }
        }
        return this.runs.within(caller.userId, shareId, work, size)
      })
      return signatures.map(({ r, s, v }) => ({
        r: bytesToHex(r),
        s: bytesToHex(s),
        v,
        der: bytesToHex(encodeDer(r, s)),
      }))
    } finally {
      reading.end()
    }
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
    { place, batch }: Job,
    read: SigningRead,
    recorded: Promise<unknown>,
  ): Promise<Signature[]> {
    const { shareId, userId, confirmedAt, keygenId } = read.share
    // Held before anything is awaited: joining a room at another relay takes a while, and a setup that dies meanwhile
    // takes this run along.
    const setups = this.setups.forRun({ shareId, run }, read.setups)
    const lockedOut = await this.#lockedOut(read)
    try {
      const link = heldBack(await this.rooms.join(run, place, keygenId), recorded, run)
      const known = new Map([...setups.known].filter(([peer]) => !lockedOut.has(peer)))
      const signatures = await this.engine.sign({
        link,
        room: place.room,
        record: read.record,
        batch,
        setups: { ...setups, known },
      })
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

  /** All that a signature needs to know, in one read. */
  async #read(caller: Caller, keyId: string, context: IdentityContext): Promise<SigningRead> {
    const read = () => this.units.readForSigning(caller.userId, keyId, this.setups.failuresSince())
    const found = await read()
    if (found !== undefined) return found
    // This says why; or the key has come meanwhile.
    await this.keys.findReady(caller, keyId, context)
    const late = await read()
    if (late === undefined) throw await this.notExists.error(caller, keyId, context)
    return late
  }

  /** The peers who are locked out. @throws VaultError `key_locked` when the others are no quorum */
  async #lockedOut({ share, unreadable, failures }: SigningRead): Promise<ReadonlySet<number>> {
    for (const peer of unreadable) this.setups.unreadable(share.shareId, peer)
    // Nobody alone can have failed more checks than all together.
    if (failures < limits.failures) return new Set()
    const lockedOut = await this.setups.lockedPeers(share)
    if (share.parties - lockedOut.size < share.threshold) throw locked()
    return lockedOut
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
