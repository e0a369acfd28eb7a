import {
  bytesToHex,
  createIdentity,
  encodeKeyShare,
  hexToBytes,
  parseRoomUuid,
  quorum,
  runKeygen,
  type KeyShare,
} from '@vertex/mpc'
import { randomBytes } from '@noble/hashes/utils.js'
import { backUp } from './backups.js'
import type { Context } from './context.js'
import type { Deadline } from './deadline.js'
import {
  IdentityError,
  KeyNotFoundError,
  RequestError,
  UnavailableError,
  VertexError,
} from './errors.js'
import { LiveKey } from './live-key.js'
import type { KeyRecord, VertexRecord } from './record.js'
import { checkHandle } from './recovery.js'
import { bothSides, CallFailed } from './two-sided.js'
import type { VertexClient } from './vertex-client.js'

/**
 * Makes a key with these Vertices. When it resolves, this party's share is stored, and so is a verified backup of each
 * Vertex's share.
 */
export async function makeKey(
  context: Context,
  clients: readonly VertexClient[],
  threshold: number,
  deadline: Deadline,
): Promise<LiveKey> {
  const { suite, main } = context
  const q = quorumOf(threshold, clients.length + 1)
  const created = await Promise.all(
    clients.map((client) => client.answers.createKey({ signal: deadline.signal })),
  )
  const identity = createIdentity(suite.channel, 'client')
  const own = bytesToHex(identity.keygenId)
  const keygenIds = [own, ...created.map(({ keygenId }) => keygenId)]
  if (new Set(keygenIds).size !== keygenIds.length)
    throw new IdentityError('identity_mismatch', 'two parties have the same keygen_id')
  const vertices = created.map(({ keyId, keygenId, identity: vault }, at): VertexRecord => ({
    url: clients[at]!.url,
    keyId,
    keygenId,
    identity:
      vault === null
        ? null
        : {
            publicKey: vault.publicKey,
            fingerprint: vault.fingerprint,
            vaultName: vault.vaultName,
          },
    generation: vault?.generation ?? null,
    formerGenerations: [],
    backup: null,
  }))
  const key = LiveKey.of(context.store, bytesToHex(randomBytes(16)))
  const keep = (share: KeyShare) => keepShare(key, share, vertices)
  const roomUuid = await main.rooms.open(q.parties, deadline.signal)
  const answered = await runBothSides()
  const record = await key.record()
  for (const [at, answer] of answered.entries()) {
    if (answer === undefined) continue // the export below shows whether this Vertex has its share
    const pinned = vertices[at]!
    if (answer.publicKey !== record.publicKey)
      throw new IdentityError('key_mismatch', 'the Vertex answered with another public key')
    if ((answer.identity?.publicKey ?? null) !== (pinned.identity?.publicKey ?? null))
      throw new IdentityError('identity_mismatch', 'the vault identity changed during keygen')
  }
  await finishKey(context, clients, key, deadline)
  return key

  async function runBothSides() {
    try {
      const { answers } = await bothSides(
        deadline,
        (signal) => main.relay.join(roomUuid, identity.keygenId, signal),
        (link) =>
          runKeygen({
            suite,
            link,
            room: parseRoomUuid(roomUuid),
            quorum: q,
            identity,
            keygenIds: keygenIds.map(hexToBytes),
            keep,
            setups: key.setups,
          }),
        clients.map((client, at) => async (signal: AbortSignal) => {
          try {
            return await client.answers.keygen({
              signal,
              body: {
                room_uuid: roomUuid,
                key_id: vertices[at]!.keyId,
                num_parties: q.parties,
                threshold: q.threshold,
                others_keygen_ids: keygenIds.filter((id) => id !== vertices[at]!.keygenId),
                ...(client === main ? {} : { relay_address: main.http.relayAddress }),
              },
            })
          } catch (error) {
            // Without an answer nothing is known; the run itself, or its end, will tell.
            if (
              error instanceof UnavailableError &&
              error.status === undefined &&
              (await key.recordIfAny()) !== undefined
            )
              return undefined
            throw error
          }
        }),
      )
      return (await answers) as (
        Awaited<ReturnType<VertexClient['answers']['keygen']>> | undefined
      )[]
    } catch (error) {
      throw error instanceof CallFailed ? error.error : error
    }
  }
}

/** Checks every Vertex's share and takes the backups that a key still lacks, after which it is ready. */
export async function finishKey(
  context: Context,
  clients: readonly (VertexClient | undefined)[],
  key: LiveKey,
  deadline: Deadline,
): Promise<void> {
  const record = await key.record()
  if (record.state === 'ready') return
  for (const [at, vertex] of record.vertices.entries()) {
    const client = clients[at]
    if (vertex.backup !== null) continue
    if (client === undefined)
      throw new RequestError('bad_argument', `the first backup of ${vertex.url} needs access to it`)
    try {
      await checkHandle(context, client, key, record, at, vertex.keyId, deadline.signal)
      if (vertex.identity !== null) await backUp(context, client, key, at, deadline.signal)
    } catch (error) {
      const never =
        error instanceof KeyNotFoundError ||
        (error instanceof VertexError && error.errType === 'key_operation_before_keygen')
      if (!never) throw error
      throw new VertexError(
        'keygen_unfinished',
        'the keygen of this key ended before the Vertex had its share: delete it and make another',
        { cause: error },
      )
    }
  }
  await key.update((all) => ({ ...all, state: 'ready' }))
}

async function keepShare(
  key: LiveKey,
  share: KeyShare,
  vertices: readonly VertexRecord[],
): Promise<void> {
  const encoded = encodeKeyShare(share)
  const record: KeyRecord = {
    id: key.id,
    state: 'unconfirmed',
    createdAt: new Date().toISOString(),
    publicKey: bytesToHex(share.publicKey),
    epoch: share.epoch,
    threshold: share.quorum.threshold,
    parties: share.quorum.parties,
    vertices,
    retiredSetups: [],
    failures: [],
    share: encoded,
  }
  try {
    await key.create(record)
  } finally {
    encoded.fill(0)
  }
}

function quorumOf(threshold: number, parties: number) {
  try {
    return quorum(threshold, parties)
  } catch (error) {
    throw new RequestError('bad_argument', error instanceof Error ? error.message : 'bad quorum')
  }
}
