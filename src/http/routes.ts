import type { z } from 'zod'
import type {
  Caller,
  Coverage,
  DeleteTombstoneRequest,
  DrilledBackup,
  IdentityContext,
  KeyInfo,
  SignRequest,
  Vault,
  VaultIdentityInfo,
} from '../vault/index.js'
import { HttpProblem, problemBody } from './errors.js'
import { hostAndPort } from './host-and-port.js'
import * as schemas from './schemas.js'

export type Method = 'get' | 'post' | 'delete'

/** What a handler is given: everything validated. */
export interface Input<Q, B, P> {
  readonly query: Q
  readonly body: B
  readonly params: P
  readonly identity: IdentityContext
  /** As log and answer name this request. */
  readonly requestId: string
}

/** JSON, or text with its media type. */
export type Reply =
  | {
      readonly json: object
      readonly status?: number
      readonly headers?: Readonly<Record<string, string>>
    }
  | {
      readonly text: string | Uint8Array
      readonly type: string
      readonly headers?: Readonly<Record<string, string>>
    }

interface Shapes {
  readonly method: Method
  /** As Express writes it: /ecdsa/keys/:key_id */
  readonly path: string
  readonly query: z.ZodType
  readonly body: z.ZodType | null
  /** The body may be left out. */
  readonly bodyOptional: boolean
  readonly params: z.ZodType
}

export type Route = Shapes &
  (
    | {
        readonly access: 'user'
        readonly handle: (input: Input<never, never, never>, caller: Caller) => Promise<Reply>
      }
    | {
        /** Without a caller it is the operator who asks. */
        readonly access: 'user-or-admin'
        readonly handle: (
          input: Input<never, never, never>,
          caller: Caller | undefined,
        ) => Promise<Reply>
      }
    | {
        readonly access: 'admin' | 'public'
        readonly handle: (input: Input<never, never, never>) => Promise<Reply>
      }
  )

interface Given<Q extends z.ZodType, B extends z.ZodType, P extends z.ZodType> {
  query?: Q
  body?: B
  bodyOptional?: boolean
  params?: P
}

type Of<T> = T extends z.ZodType ? z.output<T> : undefined
type Nothing = typeof schemas.nothing

function shapes(
  method: Method,
  path: string,
  given: Given<z.ZodType, z.ZodType, z.ZodType>,
): Shapes {
  return {
    method,
    path,
    query: given.query ?? schemas.nothing,
    body: given.body ?? null,
    bodyOptional: given.bodyOptional ?? false,
    params: given.params ?? schemas.nothing,
  }
}

/** A route for users. The types of the schemas flow into the handler here, and nowhere else are they cast. */
function user<
  Q extends z.ZodType = Nothing,
  B extends z.ZodType = z.ZodUndefined,
  P extends z.ZodType = Nothing,
>(
  method: Method,
  path: string,
  given: Given<Q, B, P>,
  handle: (input: Input<Of<Q>, Of<B>, Of<P>>, caller: Caller) => Promise<Reply>,
): Route {
  return { ...shapes(method, path, given), access: 'user', handle: handle }
}

function admin<
  Q extends z.ZodType = Nothing,
  B extends z.ZodType = z.ZodUndefined,
  P extends z.ZodType = Nothing,
>(
  method: Method,
  path: string,
  given: Given<Q, B, P>,
  handle: (input: Input<Of<Q>, Of<B>, Of<P>>) => Promise<Reply>,
): Route {
  return { ...shapes(method, path, given), access: 'admin', handle: handle }
}

/** A route that answers users of what is theirs and the operator of everyone. It has no body. */
function userOrAdmin<Q extends z.ZodType>(
  method: 'get',
  path: string,
  given: { query: Q },
  handle: (input: Input<Of<Q>, undefined, undefined>, caller: Caller | undefined) => Promise<Reply>,
): Route {
  return { ...shapes(method, path, given), access: 'user-or-admin', handle: handle }
}

export function open(method: Method, path: string, handle: () => Promise<Reply>): Route {
  return { ...shapes(method, path, {}), access: 'public', handle }
}

/** Everything users and admins can ask of the vault. */
export function vaultRoutes(vault: Vault, relayAllow: readonly string[]): Route[] {
  const { keyIdParam } = schemas
  const allowed = new Set(relayAllow)

  /** @throws HttpProblem unless the operator allows this relay */
  const relay = (address: string | undefined): string | undefined => {
    if (address === undefined) return undefined
    const parts = hostAndPort(address)
    const canonical = parts && `${parts.host}:${parts.port}`
    if (canonical === undefined || !allowed.has(canonical))
      throw new HttpProblem(
        'bad_request_params',
        'relay_address: is not on the allow-list of this server',
      )
    return canonical
  }

  const signRequest = (body: z.output<typeof schemas.sign>): SignRequest => ({
    keyId: body.key_id,
    roomUuid: body.room_uuid,
    msg: body.msg,
    hashAlgo: body.hash_algo,
    derivationPath: body.derivation_path,
    extraData: body.extra_data,
    relayAddress: relay(body.relay_address),
  })

  const createUser = async (
    who: z.output<typeof schemas.createUser>,
    requestId: string,
  ): Promise<Reply> => {
    const request = { name: who.name ?? who.label ?? '', userId: who.user_id }
    const made = await vault.createUser(request, requestId)
    return { json: { user_id: made.userId, api_key: made.apiKey } }
  }

  const generateApiKey = async (
    who: z.output<typeof schemas.userId>,
    requestId: string,
  ): Promise<Reply> => {
    const made = await vault.generateApiKey(who.user_id, requestId)
    return { json: { user_id: made.userId, api_key: made.apiKey } }
  }

  return [
    user('post', '/create-room', { body: schemas.createRoom }, async ({ body }, caller) => {
      if (body.count === undefined) {
        const room = await vault.createRoom(caller, body.room_size)
        return { json: { room_uuid: room.roomUuid } }
      }
      const { roomUuids, expiresInMs } = await vault.createRooms(caller, body.room_size, body.count)
      return {
        json: { room_uuid: roomUuids[0], room_uuids: roomUuids, expires_in_ms: expiresInMs },
      }
    }),

    user('get', '/ecdsa/create', {}, async (_, caller) => {
      const made = await vault.createKey(caller)
      return {
        json: {
          key_id: made.keyId,
          keygen_id: made.keygenId,
          vault_identity: vaultIdentity(made.vaultIdentity),
        },
      }
    }),

    user('post', '/ecdsa/keygen', { body: schemas.keygen }, async ({ body, identity }, caller) => {
      const request = {
        keyId: body.key_id,
        roomUuid: body.room_uuid,
        numParties: body.num_parties,
        threshold: body.threshold,
        othersKeygenIds: body.others_keygen_ids,
        othersIdentities: body.others_identities,
        relayAddress: relay(body.relay_address),
      }
      const made = await vault.keygen(caller, request, identity)
      return {
        json: {
          pubkey: made.pubkey,
          chain_code: made.chainCode,
          vault_identity: vaultIdentity(made.vaultIdentity),
        },
      }
    }),

    user('post', '/ecdsa/sign', { body: schemas.sign }, async ({ body, identity }, caller) => {
      const { r, s, v, der } = await vault.sign(caller, signRequest(body), identity)
      return { json: { r, s, v, der } }
    }),

    user(
      'post',
      '/ecdsa/batch-sign',
      { body: schemas.batchSign },
      async ({ body, identity }, caller) => {
        const entries = await vault.batchSign(caller, body.sign_requests.map(signRequest), identity)
        const json = entries.map((entry) => {
          if (entry.error) return { Error: problemBody(entry.error) }
          const { r, s, v, der } = entry.signature
          return { Signature: { r, s, v, der } }
        })
        return { json }
      },
    ),

    user(
      'post',
      '/ecdsa/derive-pubkey',
      { body: schemas.derivePubkey },
      async ({ body, identity }, caller) => {
        const request = { keyId: body.key_id, derivationPath: body.derivation_path }
        const { pubkey } = await vault.derivePubkey(caller, request, identity)
        return { json: { pubkey } }
      },
    ),

    user('get', '/ecdsa/keys', {}, async (_, caller) => {
      const keys = await vault.listKeys(caller)
      return { json: { keys: keys.map(keyInfo) } }
    }),

    user(
      'get',
      '/ecdsa/keys/:key_id',
      { params: keyIdParam },
      async ({ params, identity }, caller) => {
        return { json: keyInfo(await vault.getKey(caller, params.key_id, identity)) }
      },
    ),

    user(
      'get',
      '/ecdsa/export-id/:key_id',
      { params: keyIdParam },
      async ({ params, identity }, caller) => {
        const { keygenId } = await vault.exportId(caller, params.key_id, identity)
        return { json: { keygen_id: keygenId } }
      },
    ),

    user(
      'delete',
      '/ecdsa/delete-key-share/:key_id',
      { params: keyIdParam },
      async ({ params, identity }, caller) => {
        await vault.deleteKeyShare(caller, params.key_id, identity)
        return { json: {} }
      },
    ),

    user(
      'get',
      '/ecdsa/backup/export-key-share/:key_id',
      { params: keyIdParam, query: schemas.exportTo },
      async ({ params, query, identity }, caller) => {
        const { key_id } = params
        if (query.recipient === undefined) {
          const { exportType, keyShare } = await vault.exportBackup(caller, key_id, identity)
          return { json: { export_type: exportType, key_share: keyShare } }
        }
        const made = await vault.exportBackupTo(caller, key_id, query.recipient, identity)
        const { primary, key, exportedAt, keyInit } = made.recipient
        return {
          json: {
            export_type: made.exportType,
            key_share: made.keyShare,
            recipient: {
              primary,
              key,
              exported_at: exportedAt,
              ...(keyInit === undefined ? {} : { key_init: keyInit }),
            },
          },
        }
      },
    ),

    user(
      'post',
      '/ecdsa/backup/import-key-share',
      { body: schemas.backup },
      async ({ body }, caller) => {
        const { keyId } = await vault.importBackup(caller, {
          exportType: body.export_type,
          keyShare: body.key_share,
        })
        return { json: { key_id: keyId } }
      },
    ),

    user(
      'post',
      '/ecdsa/backup/verify-key-share',
      { body: schemas.backup },
      async ({ body }, caller) => {
        const found = await vault.verifyBackup(caller, {
          exportType: body.export_type,
          keyShare: body.key_share,
        })
        return {
          json: {
            key_id: found.keyId,
            pubkey: found.pubkey,
            epoch: found.epoch,
            secret_version: found.secretVersion,
          },
        }
      },
    ),

    user(
      'post',
      '/ecdsa/backup/rewrap-key-share',
      { body: schemas.backup },
      async ({ body }, caller) => {
        const made = await vault.rewrapBackup(caller, {
          exportType: body.export_type,
          keyShare: body.key_share,
        })
        return {
          json: {
            export_type: made.exportType,
            key_share: made.keyShare,
            key_id: made.keyId,
            pubkey: made.pubkey,
            epoch: made.epoch,
            rewrapped: made.rewrapped,
            former_secret_version: made.formerSecretVersion,
            secret_version: made.secretVersion,
          },
        }
      },
    ),

    user(
      'post',
      '/ecdsa/backup/drill-key-share',
      { body: schemas.drill },
      async ({ body, identity }, caller) => {
        const request = {
          exportType: body.export_type,
          keyShare: body.key_share,
          roomUuid: body.room_uuid,
          nonce: body.nonce,
          relayAddress: relay(body.relay_address),
        }
        return { json: drilled(await vault.drillBackup(caller, request, identity)) }
      },
    ),

    userOrAdmin(
      'get',
      '/backup/coverage',
      { query: schemas.coverage },
      async ({ query }, caller) => {
        return { json: coverage(await vault.backupCoverage(caller, query)) }
      },
    ),

    admin('get', '/admin/create-user', { query: schemas.createUser }, ({ query, requestId }) =>
      createUser(query, requestId),
    ),
    admin('post', '/admin/create-user', { body: schemas.createUser }, ({ body, requestId }) =>
      createUser(body, requestId),
    ),
    admin('get', '/admin/generate-api-key', { query: schemas.userId }, ({ query, requestId }) =>
      generateApiKey(query, requestId),
    ),
    admin('post', '/admin/generate-api-key', { body: schemas.userId }, ({ body, requestId }) =>
      generateApiKey(body, requestId),
    ),

    admin(
      'delete',
      '/admin/revoke-api-key',
      { body: schemas.revokeApiKey },
      async ({ body, requestId }) => {
        await vault.revokeApiKey({ apiKey: body.api_key, userId: body.user_id }, requestId)
        return { json: {} }
      },
    ),

    admin(
      'delete',
      '/admin/delete-user',
      { query: schemas.maybeUserId, body: schemas.userId, bodyOptional: true },
      async ({ query, body, requestId }) => {
        // The body may be absent, which the type of its schema does not say.
        const inBody = (body as typeof body | undefined)?.user_id
        const userId = query.user_id ?? inBody
        if (userId === undefined || (query.user_id !== undefined && inBody !== undefined))
          throw new HttpProblem(
            'bad_request_params',
            'user_id: give it once, in the query or in the body',
          )
        await vault.deleteUser(userId, requestId)
        return { json: {} }
      },
    ),

    admin(
      'delete',
      '/admin/delete-tombstone',
      { body: schemas.deleteTombstone },
      async ({ body, requestId }) => {
        const subject: DeleteTombstoneRequest =
          body.kind === 'share'
            ? { kind: 'share', userId: body.user_id, pubkey: body.pubkey }
            : body.kind === 'user'
              ? { kind: 'user', userId: body.user_id }
              : { kind: 'user_name', name: body.name }
        await vault.deleteTombstone(subject, requestId)
        return { json: {} }
      },
    ),

    open('get', '/cluster/persistent-keygen-id', () =>
      Promise.resolve({ json: { keygen_id: vault.party().persistentKeygenId } }),
    ),
    open('get', '/directory/identity', () => {
      const { primary, persistentKeygenId, host } = vault.party()
      return Promise.resolve({ json: { primary, keygen_id: persistentKeygenId, host } })
    }),

    open('get', '/identity-pubkey', () =>
      Promise.resolve({ text: vault.identityPem(), type: 'text/plain; charset=utf-8' }),
    ),
  ]
}

function vaultIdentity(info: VaultIdentityInfo | null): object | null {
  return (
    info && {
      public_key: info.publicKey,
      fingerprint: info.fingerprint,
      vault_name: info.vaultName,
      generation: info.generation,
    }
  )
}

function drilled({ drilledAt, digest, signature, report }: DrilledBackup): object {
  const { r, s, v } = signature
  return {
    drilled_at: drilledAt,
    digest,
    signature: { r, s, v },
    report: report && {
      vault_name: report.vaultName,
      generation: report.generation,
      user_id: report.userId,
      key_id: report.keyId,
      pubkey: report.pubkey,
      party: report.party,
      epoch: report.epoch,
      digest: report.digest,
      secret_fingerprint: report.secretFingerprint,
      nonce: report.nonce,
      r: report.r,
      s: report.s,
      drilled_at: report.drilledAt,
      identity: report.identity,
      signature: report.signature,
    },
  }
}

function coverage({ keys, next, counts, secrets }: Coverage): object {
  return {
    keys: keys.map((key) => ({
      user_id: key.userId,
      key_id: key.keyId,
      pubkey: key.pubkey,
      party: key.party,
      epoch: key.epoch,
      state: key.state,
      exported_at: key.exportedAt,
      verified_at: key.verifiedAt,
      drilled_at: key.drilledAt,
      secret: key.secret,
    })),
    next,
    counts,
    secrets,
  }
}

/** Members that are not known yet are left out. */
function keyInfo(key: KeyInfo): object {
  return {
    key_id: key.keyId,
    keygen_id: key.keygenId,
    state: key.state,
    created_at: key.createdAt.toISOString(),
    pubkey: key.pubkey,
    chain_code: key.chainCode,
    party: key.party,
    parties: key.parties,
    threshold: key.threshold,
    epoch: key.epoch,
    provenance: key.provenance,
  }
}
