import {
  bytesToHex,
  hexToBytes,
  roomUuid,
  vaultIdentityFingerprint,
  verifyKeyIdNotExists,
  verifySuccessor,
} from '@vertex/mpc'
import { randomBytes } from '@noble/hashes/utils.js'
import type { Context } from './context.js'
import { identityHeaders } from './identity-headers.js'
import { asError, withDeadline, withSignal } from './deadline.js'
import {
  IdentityError,
  KeyNotFoundError,
  RequestError,
  RollbackDetectedError,
  type RecoveryRefusal,
  type RollbackReason,
} from './errors.js'
import { vertexAt, type LiveKey } from './live-key.js'
import { partyOf } from './parties.js'
import type { KeyRecord, PinnedIdentity, VertexRecord } from './record.js'
import type { VertexClient } from './vertex-client.js'

const MAX_FORMER_GENERATIONS = 1_000

/** A request that a Vertex answered with key_id_not_exists. */
export interface MissedKey {
  /** The Vertex's place in the record. */
  readonly at: number
  readonly keyId: string
  /** What the request carried as X-Vertex-Nonce. */
  readonly nonce: Uint8Array
  readonly error: KeyNotFoundError
}

/**
 * Puts a lost share back, or throws with the reason why not. When it resolves, the record names a handle to sign with
 * in a fresh room. However many calls miss the key at once, the backup is imported once.
 */
export async function recover(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  missed: MissedKey,
  signal: AbortSignal,
): Promise<void> {
  const record = await key.record()
  const vertex = vertexAt(record, missed.at)
  if (vertex.keyId !== missed.keyId) return // somebody else has recovered it meanwhile
  const verdict = judge(client, vertex, missed)
  if (verdict === 'generation_returned')
    throw rollback(context, key, client.url, verdict, RETURNED, missed.error)
  if (context.recovery === 'off') throw refused(missed.error, 'off')
  let running = key.recovering.get(missed.at)
  if (running === undefined) {
    // Under a deadline of its own: the call that came first may give up earlier than those that wait with it.
    running = withDeadline(context.deadlineMs, undefined, ({ signal: own }) =>
      putBack(context, client, key, missed, verdict, own),
    ).finally(() => key.recovering.delete(missed.at))
    key.recovering.set(missed.at, running)
  }
  await withSignal(running, signal)
}

/** What a signed answer allows. */
interface Verdict {
  readonly generation: string
  /** The identity to pin from now on. */
  readonly identity: PinnedIdentity
}

/**
 * Decides whether an answer may call for the backup: signed by the pinned identity over our nonce, our key_id and the
 * id of our API key, by a database that we have never seen.
 * @throws KeyNotFoundError with the refusal
 */
function judge(
  client: VertexClient,
  vertex: VertexRecord,
  missed: MissedKey,
): Verdict | 'generation_returned' {
  const refuse = (why: RecoveryRefusal) => refused(missed.error, why)
  if (vertex.identity === null) throw refuse('plaintext')
  const verdict = believe(client, vertex.identity, missed)
  if (verdict === undefined) throw refuse('unsigned')
  if (verdict.generation === vertex.generation) throw refuse('same_generation')
  if (vertex.formerGenerations.includes(verdict.generation)) return 'generation_returned'
  if (vertex.backup === null) throw refuse('no_backup')
  return verdict
}

/** What a key_id_not_exists says, if the pinned identity signed it for us, and its successor if it vouches for one. */
function believe(
  client: VertexClient,
  pinned: PinnedIdentity,
  { keyId, nonce, error }: Pick<MissedKey, 'keyId' | 'nonce' | 'error'>,
): Verdict | undefined {
  const said = statementOf(error.details)
  const signed =
    said !== undefined &&
    said.apiKeyId === client.http.apiKeyId &&
    said.keyId === keyId &&
    said.nonce === bytesToHex(nonce) &&
    said.vaultName === pinned.vaultName &&
    said.identity === pinned.publicKey &&
    verifyKeyIdNotExists(
      hexToBytes(pinned.publicKey),
      { ...said, nonce },
      hexToBytes(said.signature),
    )
  if (!signed) return undefined
  const { generation, successor } = said
  if (successor === undefined) return { generation, identity: pinned }
  const newer = hexToBytes(successor.publicKey)
  const vouched = verifySuccessor(
    { vaultName: pinned.vaultName, pinned: hexToBytes(pinned.publicKey), successor: newer },
    hexToBytes(successor.signature),
  )
  if (!vouched) return undefined
  const identity = {
    publicKey: successor.publicKey,
    fingerprint: bytesToHex(vaultIdentityFingerprint(newer)),
    vaultName: pinned.vaultName,
  }
  return { generation, identity }
}

/**
 * Has a Vertex prove that it could call for its backup: it is asked for a key that nobody has, and its answer must be
 * signed by the pinned identity. A newer identity that this one vouches for comes back with it, to be pinned together
 * with the next backup; undefined comes back where backups are in the clear. Changes nothing.
 * @throws IdentityError
 * @throws RollbackDetectedError
 */
export async function proveIdentity(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  { identity: pinned, formerGenerations }: VertexRecord,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  if (pinned === null) return undefined
  const keyId = roomUuid(randomBytes(16))
  const nonce = randomBytes(32)
  const headers = identityHeaders(nonce, pinned.fingerprint)
  const error = await client.answers.getKey(keyId, { signal, headers }).then(
    () => undefined,
    (reason: unknown) => {
      if (reason instanceof KeyNotFoundError) return reason
      throw asError(reason)
    },
  )
  const said = error && believe(client, pinned, { keyId, nonce, error })
  if (said === undefined)
    throw new IdentityError(
      'identity_mismatch',
      'the Vertex proves neither the pinned vault identity nor one that it vouches for: it needs its former backup secret and vault name',
      { cause: error },
    )
  if (formerGenerations.includes(said.generation))
    throw rollback(context, key, client.url, 'generation_returned', RETURNED, error)
  return said
}

const RETURNED =
  'a database that was left behind answers again: the Vertex was put back to an older state'

/** The members of a record that say under which database and identity a share lives. */
export function livesUnder(vertex: VertexRecord, { generation, identity }: Verdict) {
  const left =
    vertex.generation === null || vertex.generation === generation ? [] : [vertex.generation]
  return {
    identity,
    generation,
    formerGenerations: [...vertex.formerGenerations, ...left].slice(-MAX_FORMER_GENERATIONS),
  }
}

async function putBack(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  missed: MissedKey,
  verdict: Verdict,
  signal: AbortSignal,
): Promise<void> {
  const record = await key.record()
  const vertex = vertexAt(record, missed.at)
  if (vertex.keyId !== missed.keyId) return
  if (vertex.backup === null) throw refused(missed.error, 'no_backup')
  const { generation } = verdict
  if (typeof context.recovery === 'function') {
    const offer = { id: key.id, url: client.url, keyId: vertex.keyId, generation }
    if (!(await context.recovery(offer))) throw refused(missed.error, 'off')
  }
  const keyId = await client.answers.importKeyShare(vertex.backup, { signal })
  await adopt(context, client, key, missed.at, keyId, verdict, signal)
  context.events.emit('recovered', {
    id: key.id,
    url: client.url,
    keyId,
    formerKeyId: missed.keyId,
    generation,
  })
}

/**
 * Makes a handle the key's own, after checking that the pinned key is behind it.
 * @param verdict the database and identity it lives under; undefined where they stay as they are
 */
export async function adopt(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  at: number,
  keyId: string,
  verdict: Verdict | undefined,
  signal: AbortSignal,
): Promise<KeyRecord> {
  const record = await key.record()
  await checkHandle(context, client, key, record, at, keyId, signal)
  // The other half of the setup went with the old database.
  const share = key.share(context.suite, record)
  await key.setups.forget(partyOf(share, vertexAt(record, at).keygenId))
  return key.updateVertex(at, (vertex) => ({
    ...vertex,
    url: client.url,
    keyId,
    ...(verdict === undefined ? {} : livesUnder(vertex, verdict)),
  }))
}

/**
 * Compares what is behind a handle with what is pinned.
 * @throws RollbackDetectedError when its epoch is older than ours
 * @throws IdentityError when it is another key or another party
 */
export async function checkHandle(
  context: Context,
  client: VertexClient,
  key: LiveKey,
  record: KeyRecord,
  at: number,
  keyId: string,
  signal: AbortSignal,
): Promise<void> {
  const found = await client.answers.getKey(keyId, { signal })
  if (found.publicKey === undefined)
    throw new RequestError('key_operation_before_keygen', 'the Vertex has no share of this key yet')
  if (found.publicKey !== record.publicKey || found.keygenId !== vertexAt(record, at).keygenId)
    throw new IdentityError('key_mismatch', 'the Vertex has another key behind this key_id')
  if (found.epoch !== undefined && found.epoch < record.epoch)
    throw rollback(
      context,
      key,
      client.url,
      'epoch_fell',
      `the Vertex has the share of epoch ${found.epoch}, this side of epoch ${record.epoch}`,
    )
}

/** The error of a Vertex that went back in time; the app is told by an event too. */
export function rollback(
  context: Context,
  key: LiveKey,
  url: string,
  reason: RollbackReason,
  message: string,
  cause?: unknown,
): RollbackDetectedError {
  context.events.emit('rollback-detected', { id: key.id, url, reason })
  return new RollbackDetectedError(reason, message, { cause })
}

function refused(error: KeyNotFoundError, refusal: RecoveryRefusal): KeyNotFoundError {
  const why: Record<RecoveryRefusal, string> = {
    off: 'recovery is switched off',
    unsigned: 'the answer is not signed by the pinned vault identity',
    same_generation: 'the database is the same as before, so the key was deleted, not lost',
    plaintext: 'backups in the clear are imported by hand',
    no_backup: 'there is no backup of this share',
    again: 'the key is missing again right after its recovery',
  }
  return new KeyNotFoundError(`${error.message}; not recovered: ${why[refusal]}`, {
    status: error.status,
    response: error.response,
    details: error.details,
    cause: error,
    refusal,
  })
}

/** The error of a key that is still missing after it was recovered. */
export const missingAgain = (error: KeyNotFoundError) => refused(error, 'again')

function statementOf(details: Readonly<Record<string, unknown>>) {
  const vaultName = details['vault_name']
  const generation = details['generation']
  const apiKeyId = details['api_key_id']
  const keyId = details['key_id']
  if (typeof vaultName !== 'string' || typeof generation !== 'string') return undefined
  if (typeof apiKeyId !== 'string' || typeof keyId !== 'string') return undefined
  const nonce = hexDetail(details['nonce'], 32)
  const identity = hexDetail(details['identity'], 32)
  const signature = hexDetail(details['signature'], 64)
  if (nonce === undefined || identity === undefined || signature === undefined) return undefined
  const successor = successorOf(details['successor'])
  if (successor === null) return undefined
  return { vaultName, generation, apiKeyId, keyId, nonce, identity, signature, successor }
}

function successorOf(value: unknown) {
  if (value === undefined || value === null) return undefined
  const { public_key, signature } = value as Record<string, unknown>
  const publicKey = hexDetail(public_key, 32)
  const vouching = hexDetail(signature, 64)
  if (publicKey === undefined || vouching === undefined) return null
  return { publicKey, signature: vouching }
}

function hexDetail(value: unknown, bytes: number): string | undefined {
  if (typeof value !== 'string' || value.length !== 2 * bytes || !/^[0-9a-f]*$/i.test(value))
    return undefined
  return value.toLowerCase()
}
