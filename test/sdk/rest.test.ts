import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript'
import { parse } from 'yaml'
import type { EcdsaKey, RestInput, Signature, Vertex } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it, vi } from 'vitest'
import { queryRoutes, routes } from '../../sdk/src/rest/routes.js'
import { wipeData, type TestServer } from '../support/server.js'
import { Harness, hex, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const document = join(root, 'openapi.yaml')

interface Operation {
  operationId: string
  parameters?: { in?: string }[]
  requestBody?: unknown
}
const { paths } = parse(readFileSync(document, 'utf8')) as {
  paths: Record<string, Record<string, Operation>>
}

describe('the low-level calls', () => {
  it('are those of openapi.yaml, each with its method and path', () => {
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => method !== 'parameters')
        .map(([method, { operationId }]) => [operationId, [method.toUpperCase(), path]] as const),
    )
    expect(described.length).toBeGreaterThan(20)
    expect({ ...routes }).toEqual(Object.fromEntries(described))
  })

  it('put their input where openapi.yaml has it', () => {
    const inQuery = Object.values(paths).flatMap((methods) =>
      Object.values(methods)
        .filter(({ parameters }) => parameters?.some((parameter) => parameter.in === 'query'))
        .map(({ operationId }) => operationId),
    )
    expect([...queryRoutes].sort()).toEqual(inQuery.sort())
  })

  it('have types made from the openapi.yaml of today', async () => {
    const made = COMMENT_HEADER + astToString(await openapiTS(pathToFileURL(document)))
    const kept = readFileSync(join(root, 'sdk/src/generated/api.ts'), 'utf8')
    expect(kept, 'npx openapi-typescript openapi.yaml -o sdk/src/generated/api.ts').toBe(made)
  })

  it('know the members of what goes out and comes back', () => {
    expectTypeOf<RestInput<'sign'>>().toHaveProperty('room_uuid').toEqualTypeOf<string>()
    expectTypeOf<RestInput<'getKey'>>().toHaveProperty('key_id').toEqualTypeOf<string>()
    expectTypeOf<Vertex['rest']['sign']>().returns.resolves.toHaveProperty('der')
    expectTypeOf<[]>().toExtend<Parameters<Vertex['rest']['livez']>>()
  })
})

describe('an app that does everything by hand', () => {
  const harness = new Harness()
  let server: TestServer
  let vertex: Vertex
  let key: EcdsaKey
  beforeAll(async () => {
    server = await harness.server('vertex')
    vertex = await harness.client(server)
    key = await vertex.ecdsa.createKey()
  })
  afterAll(() => harness.end())

  /** Both sides of one signature; what the server refuses is thrown as the Response that it is. */
  async function sign(request: { key_id: string; message: Uint8Array }): Promise<Signature> {
    const { room_uuid } = await vertex.rest.createRoom({ room_size: 2 })
    const given_up = new AbortController()
    const [signature] = await Promise.all([
      key.joinSign(room_uuid, {
        message: request.message,
        hashAlgo: 'sha256',
        signal: given_up.signal,
      }),
      vertex.rest
        .sign({
          key_id: request.key_id,
          room_uuid,
          msg: hex(request.message),
          hash_algo: 'sha256',
          derivation_path: [],
        })
        .catch((refusal: unknown) => {
          given_up.abort(refusal)
          throw refusal
        }),
    ])
    return signature
  }
  const import_key_share = (share: RestInput<'importKeyShare'>) => vertex.rest.importKeyShare(share)

  it('can write the published recovery itself, on errors that are native Responses', async () => {
    const user_key_id = key.keyId
    const exported_share = await vertex.rest.exportKeyShare({ key_id: user_key_id })
    const msg = utf8('by hand')
    let recoveries = 0

    async function main(): Promise<Signature> {
      try {
        return await sign({ key_id: user_key_id, message: msg })
      } catch (error: unknown) {
        if (error instanceof Response) {
          const error_body = (await error.json()) as { err_type: string }
          if (error_body.err_type === 'key_id_not_exists') {
            const import_result = await import_key_share(exported_share)
            recoveries++
            return await sign({ key_id: import_result.key_id, message: msg })
          }
        }
        throw error
      }
    }

    expect(opensslVerifies(key.publicKey, msg, (await main()).der)).toBe(true)
    expect(recoveries).toBe(0)
    await server.kill()
    wipeData(server.folder)
    server = await harness.server('vertex', { port: server.port })
    expect(opensslVerifies(key.publicKey, msg, (await main()).der)).toBe(true)
    expect(recoveries).toBe(1)
  })

  it('gets answers in their types, and pages as text', async () => {
    expect(await vertex.rest.livez()).toEqual({ status: 'ok' })
    expect(await vertex.rest.version()).toMatchObject({ name: 'vertex' })
    expect(await vertex.rest.identityPubkey()).toMatch(/^-----BEGIN PUBLIC KEY-----/)
    expect(await vertex.rest.openapi()).toMatchObject({ openapi: '3.1.0' })
    const { pubkey } = await vertex.rest.derivePubkey({
      key_id: (await vertex.rest.listKeys()).keys[0]!.key_id,
      derivation_path: [7],
    })
    expect(pubkey).toBe(hex(key.derivePublicKey([7])))
  })

  it('reaches the admin routes with another authorization', async () => {
    const admin = { authorization: server.adminToken }
    const made = await vertex.rest.createUserByQuery({ name: 'bob' }, admin)
    const another = await vertex.rest.generateApiKey({ user_id: made.user_id }, admin)
    await vertex.rest.revokeApiKey({ api_key: another.api_key, user_id: made.user_id }, admin)
    await vertex.rest.deleteUser({ user_id: made.user_id }, admin)
    const refused: unknown = await vertex.rest
      .createUser({ name: 'carol' })
      .catch((reason: unknown) => reason)
    expect(refused).toBeInstanceOf(Response)
    expect(await (refused as Response).json()).toMatchObject({ err_type: 'you_have_to_be_admin' })
  })

  it('gets a signed key_id_not_exists when it gives a nonce and the pinned identity', async () => {
    const created = await vertex.rest.createKey()
    const nonce = 'ab'.repeat(32)
    const refused: unknown = await vertex.rest
      .getKey(
        { key_id: '00000000-0000-0000-0000-000000000000' },
        { nonce, identity: created.vault_identity!.fingerprint },
      )
      .catch((reason: unknown) => reason)
    expect(await (refused as Response).json()).toMatchObject({
      err_type: 'key_id_not_exists',
      nonce,
      identity: created.vault_identity!.public_key,
      generation: created.vault_identity!.generation,
    })
  })
})
