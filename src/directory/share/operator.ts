import {
  decodeReplication,
  decodeRequest,
  encodeError,
  encodeResponse,
  encodeStatus,
  operations,
  ShareFault,
  statuses,
  type Operation,
  type Status,
} from '@vertex/directory/share'
import { StorageUnavailable } from '../../vault/ports.js'
import type { Answer, Asked, SystemRoute } from '../system.js'
import type { Replication } from './replication/index.js'
import { isAuthentic, type Replicas } from './replication/replicas.js'
import type { ShareStore } from './store.js'
import { RegistrationRefused, type ShareTopology } from './topology.js'

export interface OperatorOptions {
  readonly shares: ShareStore
  readonly topology: ShareTopology
  /** Undefined where no token is shared with anybody: then nobody's events are taken. */
  readonly peers?:
    | {
        readonly token: string
        readonly replication: Replication
        readonly replicas: Replicas
      }
    | undefined
  /** How much the database keeps for shares. */
  readonly bytesKept: () => Promise<number>
  /** Counts one more request of a source. @returns whether it may be answered */
  readonly admit: (source: string) => boolean
}

/** What servers say to each other, and operators ask. docs/spec/share-replication.md */
export function operatorRoutes(options: OperatorOptions): readonly SystemRoute[] {
  const { topology } = options
  return [
    {
      method: 'get',
      path: '/v1/topology',
      takesBody: false,
      handle: async () => {
        // Without the database clients need it more than ever: then it is the one that was seen last.
        await topology.look().catch(() => undefined)
        return closing(binary(topology.topology()))
      },
    },
    {
      method: 'get',
      path: '/v1/status',
      takesBody: false,
      handle: async () => closing(binary(await statusOf(options))),
    },
    {
      method: 'post',
      path: '/v1/topology/register',
      takesBody: true,
      handle: ({ body }) => register(topology, body),
    },
    {
      method: 'post',
      path: '/v1/replicate',
      takesBody: true,
      handle: (asked) => replicate(options, asked),
    },
  ]
}

/** 4 */
async function statusOf({ shares, peers, bytesKept }: OperatorOptions): Promise<Uint8Array> {
  const { created, fetched, deleted, expired, misses } = shares.counts
  const [live, bytes, pending] = await Promise.all([
    shares.live(),
    bytesKept(),
    peers?.replication.outbox.pending() ?? 0,
  ])
  const sent = (await peers?.replication.outbox.lastSequence()) ?? 0n
  const applied = (await peers?.replicas.lastSequence()) ?? 0n
  return encodeStatus({
    created: BigInt(created),
    fetched: BigInt(fetched),
    deleted: BigInt(deleted),
    expired: BigInt(expired),
    misses: BigInt(misses),
    live: BigInt(live),
    segmentBytes: BigInt(bytes),
    replicationPending: BigInt(pending),
    replicationLastSequence: sent > applied ? sent : applied,
  })
}

/** 2.3, 2.4 */
async function register(topology: ShareTopology, body: Uint8Array): Promise<Answer> {
  const { share } = operations
  try {
    return binary(await topology.register(body))
  } catch (thrown) {
    if (thrown instanceof RegistrationRefused)
      return envelope(share, statuses.storeUnavailable, thrown.message, 'refused')
    if (thrown instanceof StorageUnavailable) return away(share)
    throw thrown
  }
}

/** 3.1 to 3.5 */
async function replicate(options: OperatorOptions, { body, source }: Asked): Promise<Answer> {
  if (!options.admit(source))
    return envelope(operations.share, statuses.rateLimited, 'rate limited', 'rate_limited')
  const request = faultOf(() => decodeRequest(body))
  if (request instanceof ShareFault)
    return envelope(operations.share, statuses.malformedRequest, request.kind, 'bad_request')
  const { operation } = request
  if (operation !== operations.replicate) {
    const message = 'replication endpoint accepts only replication operations'
    return envelope(operation, statuses.unknownOperation, message, 'bad_request')
  }
  const tail = options.topology.topology()
  const refused = (status: Status, message: string, code: string) =>
    envelope(operation, status, message, code, tail)
  const event = faultOf(() => decodeReplication(request.body))
  if (event instanceof ShareFault)
    return refused(statuses.malformedRequest, `payload invalid: ${event.kind}`, 'bad_request')
  const { peers } = options
  if (peers === undefined || !isAuthentic(peers.token, event))
    return refused(statuses.replicationUnauthorized, 'replication unauthorized', 'unauthorized')
  try {
    await peers.replicas.apply(event)
    return binary(encodeResponse(statuses.success, operation, new Uint8Array(), tail))
  } catch (thrown) {
    if (thrown instanceof ShareFault)
      return refused(statuses.malformedRequest, `payload invalid: ${thrown.kind}`, 'bad_request')
    if (thrown instanceof StorageUnavailable) return away(operation)
    throw thrown
  }
}

function faultOf<T>(decode: () => T): T | ShareFault {
  try {
    return decode()
  } catch (thrown) {
    if (thrown instanceof ShareFault) return thrown
    throw thrown
  }
}

const binary = (body: Uint8Array): Answer => ({
  status: 200,
  type: 'application/octet-stream',
  body,
})

/** As the original ends these. */
const closing = (answer: Answer): Answer => ({ ...answer, headers: { Connection: 'close' } })

/** The database does not answer. */
const away = (operation: Operation): Answer => ({
  ...envelope(
    operation,
    statuses.storeUnavailable,
    'the database is not available now',
    'unavailable',
  ),
  headers: { 'Retry-After': '2' },
})

function envelope(
  operation: Operation,
  status: Status,
  message: string,
  code: string,
  tail?: Uint8Array,
): Answer {
  return { ...binary(encodeError(status, operation, message, tail)), code }
}
