import { bytesToHex, checkKeygenId, hexToBytes, vaultIdentityFingerprint } from '@vertex/mpc'
import { VertexError } from './errors.js'
import { backupOf, type Backup, type PinnedIdentity } from './record.js'
import type { components } from './generated/api.js'
import type { Http, HttpRequest } from './http.js'
import { errorOf } from './wire-error.js'

/** Who a vault says it is, and with which database. */
export interface VaultIdentity extends PinnedIdentity {
  readonly generation: string
}

/** What the SDK reads of a Vertex's answers, checked, since nothing that arrives is trusted to have its type. */
export class Answers {
  constructor(readonly http: Http) {}

  async createRoom(size: number, request: HttpRequest): Promise<string> {
    const body = await this.#ask('POST', '/create-room', { ...request, body: { room_size: size } })
    return roomUuidOf(body['room_uuid'])
  }

  /** Rooms for operations to come; a Vertex that cannot do this answers 400. */
  async createRooms(
    size: number,
    count: number,
    request: HttpRequest,
  ): Promise<{ roomUuids: readonly string[]; expiresInMs: number }> {
    const asked = { ...request, body: { room_size: size, count } }
    const body = await this.#ask('POST', '/create-room', asked)
    const rooms = body['room_uuids']
    if (!Array.isArray(rooms) || rooms.length < 1 || rooms.length > count) throw unexpected()
    return { roomUuids: rooms.map(roomUuidOf), expiresInMs: wholeNumber(body['expires_in_ms']) }
  }

  async createKey(request: HttpRequest) {
    const body = await this.#ask('GET', '/ecdsa/create', request)
    return {
      keyId: keyIdOf(body['key_id']),
      keygenId: keygenIdOf(body['keygen_id']),
      identity: identityOf(body['vault_identity']),
    }
  }

  async keygen(request: HttpRequest) {
    const body = await this.#ask('POST', '/ecdsa/keygen', request)
    return {
      publicKey: hex(body['pubkey'], 33),
      chainCode: hex(body['chain_code'], 32),
      identity: identityOf(body['vault_identity']),
    }
  }

  async sign(request: HttpRequest): Promise<void> {
    await this.#ask('POST', '/ecdsa/sign', request)
  }

  /** @throws VertexError also when one of the `count` entries of the answer is an error */
  async batchSign(request: HttpRequest, count: number): Promise<void> {
    const entries = await this.http.json('POST', '/ecdsa/batch-sign', request)
    if (!Array.isArray(entries) || entries.length !== count) throw unexpected()
    for (const entry of entries as readonly unknown[]) {
      if (typeof entry !== 'object' || entry === null) throw unexpected()
      if ('Error' in entry)
        throw errorOf({ status: 200, headers: {}, text: JSON.stringify(entry.Error) })
      if (!('Signature' in entry)) throw unexpected()
    }
  }

  /** The key behind a handle: undefined members while it has no share. */
  async getKey(keyId: string, request: HttpRequest) {
    const body = await this.#ask('GET', `/ecdsa/keys/${encodeURIComponent(keyId)}`, request)
    return {
      publicKey: body['pubkey'] === undefined ? undefined : hex(body['pubkey'], 33),
      keygenId: keygenIdOf(body['keygen_id']),
      epoch: body['epoch'] === undefined ? undefined : wholeNumber(body['epoch']),
    }
  }

  async exportKeyShare(keyId: string, request: HttpRequest): Promise<Backup> {
    const path = `/ecdsa/backup/export-key-share/${encodeURIComponent(keyId)}`
    const body = await this.#ask('GET', path, request)
    try {
      return backupOf(body)
    } catch {
      throw unexpected()
    }
  }

  /** The same, sealed to a recipient, with what the Vertex says of the key if that is given out once. */
  async exportKeyShareTo(
    keyId: string,
    request: HttpRequest,
  ): Promise<{ readonly backup: Backup; readonly keyInit: string | undefined }> {
    const path = `/ecdsa/backup/export-key-share/${encodeURIComponent(keyId)}`
    const body = await this.#ask('GET', path, request)
    try {
      const recipient = body['recipient'] as { readonly key_init?: unknown } | undefined
      const keyInit = recipient?.key_init
      return { backup: backupOf(body), keyInit: typeof keyInit === 'string' ? keyInit : undefined }
    } catch {
      throw unexpected()
    }
  }

  async verifyKeyShare(backup: Backup, request: HttpRequest) {
    const path = '/ecdsa/backup/verify-key-share'
    const body = await this.#ask('POST', path, { ...request, body: backup })
    const version = body['secret_version']
    return {
      keyId: keyIdOf(body['key_id']),
      publicKey: hex(body['pubkey'], 33),
      epoch: wholeNumber(body['epoch']),
      secretVersion: typeof version === 'string' ? version : null,
    }
  }

  async drillKeyShare(request: HttpRequest) {
    const body = await this.#ask('POST', '/ecdsa/backup/drill-key-share', request)
    const report = body['report'] as components['schemas']['DrillReport'] | null
    const drilledAt = body['drilled_at']
    if (typeof drilledAt !== 'string' || Number.isNaN(Date.parse(drilledAt))) throw unexpected()
    // What is in the report, whoever takes it compares and verifies.
    if (report !== null && typeof report !== 'object') throw unexpected()
    return { drilledAt, report }
  }

  async importKeyShare(backup: Backup, request: HttpRequest): Promise<string> {
    const path = '/ecdsa/backup/import-key-share'
    return keyIdOf((await this.#ask('POST', path, { ...request, body: backup }))['key_id'])
  }

  async deleteKeyShare(keyId: string, request: HttpRequest): Promise<void> {
    await this.http.json('DELETE', `/ecdsa/delete-key-share/${encodeURIComponent(keyId)}`, request)
  }

  async #ask(method: string, path: string, request: HttpRequest): Promise<Record<string, unknown>> {
    const body = await this.http.json(method, path, request)
    if (typeof body !== 'object' || body === null || Array.isArray(body)) throw unexpected()
    return body as Record<string, unknown>
  }
}

const unexpected = () => new VertexError('bad_response', 'the Vertex answered something unexpected')

function form(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw unexpected()
  return value.toLowerCase()
}

const hex = (value: unknown, bytes: number) =>
  form(value, new RegExp(`^[0-9a-f]{${2 * bytes}}$`, 'i'))

function keygenIdOf(value: unknown): string {
  const text = hex(value, 33)
  try {
    checkKeygenId(hexToBytes(text))
  } catch {
    throw unexpected()
  }
  return text
}

const roomUuidOf = (value: unknown) => form(value, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i)

const keyIdOf = (value: unknown) => form(value, /^[0-9a-z-]{1,64}$/i)

function wholeNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unexpected()
  return value
}

function identityOf(value: unknown): VaultIdentity | null {
  if (value === null || value === undefined) return null
  if (typeof value !== 'object') throw unexpected()
  const { public_key, fingerprint, vault_name, generation } = value as Record<string, unknown>
  if (typeof vault_name !== 'string' || typeof generation !== 'string') throw unexpected()
  const publicKey = hex(public_key, 32)
  const computed = bytesToHex(vaultIdentityFingerprint(hexToBytes(publicKey)))
  if (hex(fingerprint, 32) !== computed) throw unexpected()
  return { publicKey, fingerprint: computed, vaultName: vault_name, generation }
}
