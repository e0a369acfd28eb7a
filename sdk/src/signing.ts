import {
  digestOf,
  encodeDer,
  hashAlgos,
  bytesToHex,
  MAX_BATCH,
  parseRoomUuid,
  RoomClosed,
  runSignBatch,
  type HashAlgo,
  type RoomCloseReason,
  type RoomLink,
  type SigningParty,
} from '@vertex/mpc'
import { randomBytes } from '@noble/hashes/utils.js'
import type { Context } from './context.js'
import type { Deadline } from './deadline.js'
import { KeyNotFoundError, ProtocolError, RequestError, VertexError } from './errors.js'
import { identityHeaders } from './identity-headers.js'
import { vertexAt, type LiveKey } from './live-key.js'
import { partyOf } from './parties.js'
import type { KeyRecord } from './record.js'
import { checkHandle, missingAgain, recover, rollback } from './recovery.js'
import { refuseLocked, watching } from './setups.js'
import { bothSides, CallFailed } from './two-sided.js'
import type { VertexClient } from './vertex-client.js'

/** What is to be signed. */
export interface ToSign {
  readonly message: Uint8Array
  /** How the message becomes 32 bytes; with `none` it is these 32 bytes. */
  readonly hashAlgo: HashAlgo
  /** Non-hardened BIP-32 indices below 2^31; empty or absent for the key itself. */
  readonly derivationPath?: readonly number[]
  /** Opaque bytes for the Vertex, up to its limits. */
  readonly extraData?: Uint8Array
}

/** With whom, and how long. */
export interface SignOptions {
  /** The urls of the Vertices that sign with this party; as many as the threshold needs, in their order, if absent. */
  readonly vertices?: readonly string[]
  readonly signal?: AbortSignal
  /** Milliseconds for everything, recovery included; the client's `deadlineMs` if absent. */
  readonly deadlineMs?: number
}

export interface SignRequest extends ToSign, SignOptions {}

/** A signature that was verified under the pinned key (its child at the path). */
export interface Signature {
  /** 32 bytes. */
  readonly r: Uint8Array
  /** 32 bytes, always the lower of the two. */
  readonly s: Uint8Array
  /** Recovery id, 0 to 3. */
  readonly v: number
  /** r and s as DER. */
  readonly der: Uint8Array
}

/** The Vertices of a key, by their place in its record; undefined where this client has no access to one. */
export type Clients = readonly (VertexClient | undefined)[]

/** One message of a run, checked. */
interface Work {
  readonly digest: Uint8Array
  readonly path: readonly number[]
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * Signs all of it, in as few runs as limits allow; a share that the Vertex has lost is recovered on the way.
 * @returns the signatures in the order of the messages
 * @throws VertexError
 */
export async function sign(
  context: Context,
  clients: Clients,
  key: LiveKey,
  messages: readonly ToSign[],
  vertices: readonly string[] | undefined,
  deadline: Deadline,
): Promise<Signature[]> {
  const signatures: Signature[] = []
  for (const batch of inBatches(messages.map(workOf)))
    signatures.push(...(await signTogether(context, clients, key, batch, vertices, deadline)))
  return signatures
}

/** Signs one batch in one run. */
async function signTogether(
  context: Context,
  clients: Clients,
  key: LiveKey,
  batch: readonly Work[],
  vertices: readonly string[] | undefined,
  deadline: Deadline,
): Promise<Signature[]> {
  const recovered = new Set<number>()
  let anyRoom = true
  for (;;) {
    try {
      return await key.runs.within(deadline.signal, async () => {
        const record = await key.record()
        const signers = signersOf(record, clients, vertices)
        return attempt(context, clients, key, record, signers, batch, deadline, anyRoom)
      })
    } catch (error) {
      if (error instanceof RoomGone) {
        context.main.rooms.forget()
        anyRoom = false
        continue
      }
      if (!(error instanceof MissedKeyError)) throw error
      const { missed } = error
      if (recovered.has(missed.at)) throw missingAgain(missed.error)
      await recover(context, clients[missed.at]!, key, missed, deadline.signal)
      recovered.add(missed.at)
    }
  }
}

/**
 * This party's side of a signature alone, in a room that the app has opened, for apps that make the requests to the
 * Vertices themselves. Nothing is recovered.
 */
export async function joinSign(
  context: Context,
  key: LiveKey,
  roomUuid: string,
  request: SignRequest,
  deadline: Deadline,
): Promise<Signature> {
  const batch = [workOf(request)]
  const record = await key.record()
  const signer = key.signer(context.suite, record)
  const side = ownSide(context, key, record, signer, roomUuid, batch, () => undefined)
  const { result } = await bothSides(deadline, side.join, side.run, [])
  return result[0]!
}

class MissedKeyError extends Error {
  constructor(
    readonly missed: { at: number; keyId: string; nonce: Uint8Array; error: KeyNotFoundError },
  ) {
    super(missed.error.message)
  }
}

/** A room that was opened ahead is not there any more; nothing has happened in it. */
class RoomGone extends Error {}

/** Whether somebody did not get into the room at all. Whoever did met nobody there who could have sent a message. */
function isRoomGone(error: unknown): boolean {
  const reason = error instanceof CallFailed ? error.error : error
  if (!(reason instanceof VertexError)) return false
  if (reason.cause instanceof RoomClosed) return goneReasons.has(reason.cause.reason)
  if (reason.status === undefined) return false
  // The answer to a run that began and waited in vain says for whom.
  if (reason.errType === 'room_timeout') return !('missing' in reason.details)
  return reason.errType === 'room_not_found' || reason.errType === 'room_used'
}
const goneReasons: ReadonlySet<RoomCloseReason> = new Set([
  'room_unknown',
  'room_expired',
  'room_used',
  'room_full',
])

async function attempt(
  context: Context,
  clients: Clients,
  key: LiveKey,
  record: KeyRecord,
  signers: readonly number[],
  batch: readonly Work[],
  deadline: Deadline,
  /** Also one that was opened ahead, and may be gone; only such a one throws RoomGone. */
  anyRoom: boolean,
): Promise<Signature[]> {
  const signer = key.signer(context.suite, record)
  const { share } = signer
  const vertices = signers.map((at) => vertexAt(record, at))
  const peers = vertices.map((vertex) => partyOf(share, vertex.keygenId))
  for (const peer of peers) refuseLocked(record, peer)
  const endTurn = await key.setups.turn(peers, deadline.signal)
  const nonces = vertices.map(() => randomBytes(32))
  let openedAhead = false
  try {
    const { rooms } = context.main
    const size = signers.length + 1
    const room = anyRoom ? await rooms.take(size, deadline.signal) : undefined
    openedAhead = room?.isFresh === false
    const roomUuid = room?.roomUuid ?? (await rooms.open(size, deadline.signal))
    const side = ownSide(context, key, record, signer, roomUuid, batch, endTurn)
    const calls = vertices.map((vertex, i) => async (signal: AbortSignal) => {
      const client = clients[signers[i]!]!
      const requests = batch.map(({ body }) => ({
        key_id: vertex.keyId,
        room_uuid: roomUuid,
        ...body,
        ...(client === context.main ? {} : { relay_address: context.main.http.relayAddress }),
      }))
      const headers = identityHeaders(nonces[i]!, vertex.identity?.fingerprint)
      if (requests.length === 1) await client.answers.sign({ signal, headers, body: requests[0] })
      else {
        const body = { sign_requests: requests }
        await client.answers.batchSign({ signal, headers, body }, requests.length)
      }
    })
    const { result } = await bothSides(deadline, side.join, side.run, calls)
    return result
  } catch (error) {
    if (openedAhead && isRoomGone(error)) throw new RoomGone()
    if (error instanceof CallFailed) {
      const vertex = vertices[error.at]!
      if (!(error.error instanceof KeyNotFoundError)) throw await explained(error.error)
      throw new MissedKeyError({
        at: signers[error.at]!,
        keyId: vertex.keyId,
        nonce: nonces[error.at]!,
        error: error.error,
      })
    }
    throw await explained(error)
  } finally {
    endTurn()
  }

  /** Different epochs look like a mere mismatch; a look at the server's epoch tells whether it went back in time. */
  async function explained(error: unknown): Promise<unknown> {
    if (!(error instanceof ProtocolError) || error.code !== 'session_mismatch') return error
    for (const at of signers) {
      const { keyId } = vertexAt(record, at)
      try {
        await checkHandle(context, clients[at]!, key, record, at, keyId, deadline.signal)
      } catch (reason) {
        return reason
      }
    }
    return error
  }
}

/** Joins a room as this party and signs in it. */
function ownSide(
  context: Context,
  key: LiveKey,
  record: KeyRecord,
  signer: SigningParty,
  roomUuid: string,
  batch: readonly Work[],
  setupSaved: () => void,
) {
  const { suite, main } = context
  const { share } = signer
  const keygenId = share.keygenIds[share.index - 1]!
  return {
    join: (signal: AbortSignal) => main.relay.join(roomUuid, keygenId, signal),
    run: async (link: RoomLink): Promise<Signature[]> => {
      const signatures = await runSignBatch({
        suite,
        link,
        room: parseRoomUuid(roomUuid),
        ...signer,
        batch,
        setups: watching(key.setups, {
          saved: setupSaved,
          returned: (peer) => {
            const at = record.vertices.findIndex((v) => partyOf(share, v.keygenId) === peer)
            const { url } = vertexAt(record, at)
            throw rollback(
              context,
              key,
              url,
              'setup_returned',
              `party ${peer} offers an OT setup that was retired long ago: it was put back to an older state`,
            )
          },
        }),
      })
      return signatures.map(({ r, s, v }) => ({ r, s, v, der: encodeDer(r, s) }))
    },
  }
}

function workOf({ message, hashAlgo, derivationPath: path = [], extraData }: ToSign): Work {
  if (!(message instanceof Uint8Array))
    throw new RequestError('bad_argument', 'the message is a Uint8Array')
  if (!hashAlgos.includes(hashAlgo))
    throw new RequestError('bad_argument', `hashAlgo is one of ${hashAlgos.join(', ')}`)
  if (hashAlgo === 'none' && message.length !== 32)
    throw new RequestError('bad_argument', 'with hashAlgo none the message has 32 bytes')
  checkPath(path)
  return {
    digest: digestOf(message, hashAlgo),
    path: [...path],
    body: {
      msg: bytesToHex(message),
      hash_algo: hashAlgo,
      derivation_path: [...path],
      ...(extraData === undefined ? {} : { extra_data: bytesToHex(extraData) }),
    },
  }
}

/** A Vertex takes 64 KiB in one request. What stands around the messages has its place beside these. */
const MAX_BATCH_BYTES = 48 * 1024

/** Splits into batches that each fit one run and one request. */
function inBatches(works: readonly Work[]): Work[][] {
  const batches: Work[][] = []
  let bytes = Infinity
  for (const work of works) {
    const size = JSON.stringify(work.body).length
    if (bytes + size > MAX_BATCH_BYTES || batches.at(-1)?.length === MAX_BATCH) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)!.push(work)
    bytes += size
  }
  return batches
}

/** @throws RequestError for a path that non-hardened BIP-32 does not have */
export function checkPath(path: readonly number[]): void {
  if (!path.every((index) => Number.isInteger(index) && index >= 0 && index < 2 ** 31))
    throw new RequestError('bad_argument', 'a derivation path has whole numbers from 0 to 2^31 - 1')
}

/** Which Vertices sign: the named ones, or the first that are within reach, as many as the threshold needs. */
function signersOf(
  record: KeyRecord,
  clients: Clients,
  urls: readonly string[] | undefined,
): readonly number[] {
  const needed = record.threshold - 1
  const reachable = record.vertices.flatMap((_, at) => (clients[at] === undefined ? [] : [at]))
  const signers =
    urls === undefined
      ? reachable.slice(0, needed)
      : [...new Set(urls)].map((url) => {
          const at = reachable.find((i) => clients[i]!.url === url.replace(/\/+$/, ''))
          if (at === undefined)
            throw new RequestError(
              'bad_argument',
              `the key has no share at ${url}, or no access to it`,
            )
          return at
        })
  if (signers.length < needed)
    throw new RequestError(
      'bad_argument',
      `${needed} Vertices must sign with this party, and ${signers.length} are given`,
    )
  return signers
}
