import { createPublicKey, randomBytes, verify } from 'node:crypto'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeKey, openRoom, signBoth, startPair, type Party, type TestVertex } from './vertex.js'

let pair: [TestVertex, TestVertex]
let parties: [Party, Party]
let pubkey: string

beforeAll(async () => {
  pair = await startPair()
  const made = await makeKey(pair)
  parties = made.parties
  pubkey = made.pubkey
})
afterAll(() => Promise.all(pair.map((vertex) => vertex.stop())))

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** node:crypto knows nothing of us. */
function verifies(message: Uint8Array, der: string, under: string): boolean {
  const point = secp256k1.Point.fromHex(under).toBytes(false)
  const spki = Buffer.concat([
    Buffer.from('3056301006072a8648ce3d020106052b8104000a034200', 'hex'),
    point,
  ])
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  return verify('sha256', message, key, Buffer.from(der, 'hex'))
}

describe('a key, over REST alone', () => {
  it('signs, with the same signature at both parties', async () => {
    const message = randomBytes(40)
    const [a, b] = await signBoth(parties, { msg: message.toString('hex'), hash_algo: 'sha256' })
    expect([a.status, b.status]).toEqual([200, 200])
    expect(a.body).toEqual(b.body)
    expect(verifies(message, a.body.der as string, pubkey)).toBe(true)
  })

  it('derives a child key and signs for it', async () => {
    const [party] = parties
    const derivation_path = [0, 1]
    const { body } = await party.vertex.call('POST', '/ecdsa/derive-pubkey', {
      key: party.key,
      body: { key_id: party.keyId, derivation_path },
    })
    expect(body.pubkey).not.toBe(pubkey)
    const message = randomBytes(5)
    const [answer] = await signBoth(parties, {
      msg: message.toString('hex'),
      hash_algo: 'SHA256',
      derivation_path,
    })
    expect(verifies(message, answer.body.der as string, body.pubkey as string)).toBe(true)
  })

  it('is described without its secrets', async () => {
    const [{ vertex, key, keyId, keygenId }] = parties
    const one = await vertex.call('GET', `/ecdsa/keys/${keyId.toUpperCase()}`, { key })
    expect(one.body).toMatchObject({
      key_id: keyId,
      keygen_id: keygenId,
      state: 'ready',
      pubkey,
      parties: 2,
      threshold: 2,
      provenance: 'generated',
    })
    const all = await vertex.call('GET', '/ecdsa/keys', { key })
    // A list opens no share, and the chain code lies in the share.
    const { chain_code: chainCode, ...listed } = one.body
    expect(chainCode).toMatch(/^[0-9a-f]{64}$/)
    expect(all.body).toEqual({ keys: [listed] })
    const exported = await vertex.call('GET', `/ecdsa/export-id/${keyId}`, { key })
    expect(exported.body).toEqual({ keygen_id: keygenId })
  })

  it('makes its share once', async () => {
    const [{ vertex, key, keyId }, other] = parties
    const room_uuid = await openRoom(parties[0])
    const again = await vertex.call('POST', '/ecdsa/keygen', {
      key,
      body: {
        key_id: keyId,
        room_uuid,
        num_parties: 2,
        threshold: 2,
        others_keygen_ids: [other.keygenId],
      },
    })
    expect([again.status, again.body.err_type]).toEqual([400, 'already_performed_keygen'])
  })

  it('goes out as a backup, is verified, comes back under a new key_id and signs on', async () => {
    const [party, other] = parties
    const { vertex, key, keyId } = party
    const backup = await vertex.call('GET', `/ecdsa/backup/export-key-share/${keyId}`, { key })
    expect(backup.body).toMatchObject({ export_type: 'encrypted' })
    const verified = await vertex.call('POST', '/ecdsa/backup/verify-key-share', {
      key,
      body: backup.body,
    })
    expect(verified.body).toMatchObject({ key_id: keyId, pubkey })
    const imported = await vertex.call('POST', '/ecdsa/backup/import-key-share', {
      key,
      body: backup.body,
    })
    expect(imported.body.key_id).toMatch(uuid)
    expect(imported.body.key_id).not.toBe(keyId)
    const again = await vertex.call('POST', '/ecdsa/backup/import-key-share', {
      key,
      body: backup.body,
    })
    expect(again.body).toEqual(imported.body)
    const restored: Party = { ...party, keyId: imported.body.key_id as string }
    const message = randomBytes(8)
    const [a, b] = await signBoth([restored, other], {
      msg: message.toString('hex'),
      hash_algo: 'sha256',
    })
    expect([a.status, b.status]).toEqual([200, 200])
    expect(verifies(message, a.body.der as string, pubkey)).toBe(true)
    const gone = await vertex.call('DELETE', `/ecdsa/delete-key-share/${restored.keyId}`, { key })
    expect([gone.status, gone.body]).toEqual([200, {}])
    const after = await vertex.call('GET', `/ecdsa/keys/${restored.keyId}`, { key })
    expect([after.status, after.body.err_type]).toEqual([400, 'key_id_not_exists'])
  })

  it('signs batches, in which one failure stops nobody else', async () => {
    const [first, second] = parties
    const [shared, strangers] = [await openRoom(first), await openRoom(first)]
    const request = (party: Party, msg: string, room_uuid = shared) => ({
      key_id: party.keyId,
      room_uuid,
      msg,
      hash_algo: 'keccak256',
      ...party.relay,
    })
    const stranger = {
      ...request(first, 'aa', strangers),
      key_id: '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02',
    }
    const sign = ({ vertex, key }: Party, sign_requests: object[]) =>
      vertex.call('POST', '/ecdsa/batch-sign', { key, body: { sign_requests } })
    const [a, b] = await Promise.all([
      sign(first, [request(first, 'aa'), stranger, request(first, 'bb')]),
      sign(second, [request(second, 'aa'), request(second, 'bb')]),
    ])
    expect([a.status, b.status]).toEqual([200, 200])
    expect(b.body).toHaveLength(2)
    expect(a.body).toEqual([
      b.body[0],
      { Error: expect.objectContaining({ err_type: 'key_id_not_exists' }) },
      b.body[1],
    ])
    for (const { Signature } of b.body) expect(Signature.der).toMatch(/^30/)
    expect(b.body[0].Signature.r).not.toBe(b.body[1].Signature.r)
  })

  it('answers a room that is named for two keys as a bad request, and the rest of the batch as ever', async () => {
    const [first, second] = parties
    const [own, mixed] = [await openRoom(first), await openRoom(first)]
    const request = (party: Party, room_uuid: string) => ({
      key_id: party.keyId,
      room_uuid,
      msg: 'aa',
      hash_algo: 'sha256',
      ...party.relay,
    })
    const other = { ...request(first, mixed), key_id: '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02' }
    const sign = ({ vertex, key }: Party, sign_requests: object[]) =>
      vertex.call('POST', '/ecdsa/batch-sign', { key, body: { sign_requests } })
    const [a, b] = await Promise.all([
      sign(first, [request(first, mixed), other, request(first, own)]),
      sign(second, [request(second, own)]),
    ])
    const refused = { Error: expect.objectContaining({ err_type: 'bad_request_params' }) }
    expect(a.body).toEqual([refused, refused, b.body[0]])
    expect(b.body[0].Signature.der).toMatch(/^30/)
  })

  it('never meets another room twice', async () => {
    const [party] = parties
    const room_uuid = await openRoom(party)
    const ask = (each: Party) =>
      each.vertex.call('POST', '/ecdsa/sign', {
        key: each.key,
        body: { key_id: each.keyId, room_uuid, msg: 'aa', hash_algo: 'sha256', ...each.relay },
      })
    await Promise.all(parties.map(ask))
    const used = await ask(party)
    expect([used.status, used.body.err_type]).toEqual([400, 'room_used'])
  })
})

describe('users', () => {
  it('do not see keys of others, whose key_ids are answered as random ones are', async () => {
    const [{ vertex, keyId }] = parties
    const { key } = await vertex.user()
    const random = '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02'
    const room_uuid = await openRoom(parties[0])
    const paths: [string, string, (id: string) => unknown][] = [
      ['GET', '/ecdsa/keys/:id', () => undefined],
      ['GET', '/ecdsa/export-id/:id', () => undefined],
      ['GET', '/ecdsa/backup/export-key-share/:id', () => undefined],
      ['DELETE', '/ecdsa/delete-key-share/:id', () => undefined],
      ['POST', '/ecdsa/derive-pubkey', (id) => ({ key_id: id, derivation_path: [] })],
      ['POST', '/ecdsa/sign', (id) => ({ key_id: id, room_uuid, msg: 'aa', hash_algo: 'sha256' })],
    ]
    for (const [method, path, body] of paths) {
      const ask = (id: string) =>
        vertex.call(method, path.replace(':id', id), { key, body: body(id) })
      const [theirs, nobodys] = [await ask(keyId), await ask(random)]
      expect([theirs.status, theirs.body.err_type]).toEqual([400, 'key_id_not_exists'])
      expect(theirs.body).toEqual(nobodys.body)
    }
    const { body } = await vertex.call('GET', '/ecdsa/keys', { key })
    expect(body).toEqual({ keys: [] })
  })

  it('are made by GET and POST, with name or label, and never twice', async () => {
    const [{ admin }] = pair
    const byGet = await admin('GET', '/admin/create-user?name=anna%20b')
    expect(byGet.body.api_key).toMatch(/^vtx_/)
    const byLabel = await admin('GET', '/admin/create-user?label=berta')
    expect(byLabel.status).toBe(200)
    const user_id = '0f0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02'
    const byPost = await admin('POST', '/admin/create-user', { body: { label: 'clara', user_id } })
    expect(byPost.body.user_id).toBe(user_id)
    const again = await admin('POST', '/admin/create-user', { body: { name: 'anna b' } })
    expect([again.status, again.body.err_type]).toEqual([400, 'user_name_already_exists'])
    const both = await admin('GET', '/admin/create-user?name=a&label=b')
    expect([both.status, both.body.err_type]).toEqual([400, 'bad_request_params'])
  })

  it('have several API keys, each revoked by itself', async () => {
    const [{ admin, call, user }] = pair
    const { userId, key } = await user()
    const byGet = await admin('GET', `/admin/generate-api-key?user_id=${userId}`)
    const byPost = await admin('POST', '/admin/generate-api-key', { body: { user_id: userId } })
    const keys = [key, byGet.body.api_key as string, byPost.body.api_key as string]
    for (const each of keys)
      expect((await call('GET', '/ecdsa/keys', { key: each })).status).toBe(200)
    const body = { api_key: keys[1], user_id: userId }
    expect((await admin('DELETE', '/admin/revoke-api-key', { body })).status).toBe(200)
    const statuses = await Promise.all(
      keys.map(async (each) => (await call('GET', '/ecdsa/keys', { key: each })).status),
    )
    expect(statuses).toEqual([200, 401, 200])
    const unknown = await admin('DELETE', '/admin/revoke-api-key', { body })
    expect([unknown.status, unknown.body.err_type]).toEqual([400, 'api_key_not_found'])
  })

  it('are deleted by query or body, once they have no keys, and leave a tombstone', async () => {
    const [{ admin, call, user }] = pair
    const { userId, key } = await user('dora')
    const created = await call('GET', '/ecdsa/create', { key })
    expect(created.body.vault_identity.vault_name).toBe('vertex')
    await call('DELETE', `/ecdsa/delete-key-share/${created.body.key_id as string}`, { key })
    const nothing = await admin('DELETE', '/admin/delete-user')
    expect(nothing.body.err_type).toBe('bad_request_params')
    const twice = await admin('DELETE', `/admin/delete-user?user_id=${userId}`, {
      body: { user_id: userId },
    })
    expect(twice.body.err_type).toBe('bad_request_params')
    expect(
      (await admin('DELETE', '/admin/delete-user', { body: { user_id: userId } })).status,
    ).toBe(200)
    expect((await call('GET', '/ecdsa/keys', { key })).status).toBe(401)
    const again = await admin('DELETE', `/admin/delete-user?user_id=${userId}`)
    expect([again.status, again.body.err_type]).toEqual([400, 'user_id_not_exists'])
    const lifted = await admin('DELETE', '/admin/delete-tombstone', {
      body: { kind: 'user', user_id: userId },
    })
    expect(lifted.status).toBe(200)
    const notThere = await admin('DELETE', '/admin/delete-tombstone', {
      body: { kind: 'user', user_id: userId },
    })
    expect([notThere.status, notThere.body.err_type]).toEqual([400, 'tombstone_not_found'])
  })

  it('with keys cannot be deleted', async () => {
    const [{ vertex, keyId }] = parties
    const lines = vertex.log.map(
      (line) => JSON.parse(line) as { event?: string; key_id?: string; user_id?: string },
    )
    const made = lines.find((line) => line.event === 'key_created' && line.key_id === keyId)
    const refused = await vertex.admin(
      'DELETE',
      `/admin/delete-user?user_id=${made?.user_id ?? ''}`,
    )
    expect([refused.status, refused.body.err_type]).toEqual([400, 'user_has_associated_keys'])
  })
})

describe('the log', () => {
  it('holds no key, token, message, body or backup', async () => {
    const [{ log, call, admin }] = pair
    const { body } = await admin('GET', '/admin/create-user?name=a-name-nobody-may-log')
    await call('POST', '/ecdsa/sign', {
      key: body.api_key as string,
      body: { msg: 'c0ffeec0ffee' },
    })
    const text = log.join('')
    expect(text).toContain('"route":"/ecdsa/sign"')
    for (const secret of [
      'vtx_',
      'an-admin-token',
      'c0ffee',
      'a-name-nobody-may-log',
      'key_share"',
    ])
      expect(text).not.toContain(secret)
  })
})
