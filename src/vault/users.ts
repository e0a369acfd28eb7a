import { equalBytes, MAX_PARTIES } from '@vertex/mpc'
import type { Authentication } from './authentication.js'
import { VaultError } from './errors.js'
import type { CreateUserRequest, DeleteTombstoneRequest } from './facade.js'
import { newUuid, parseHex, parseUuid } from './ids.js'
import type { VaultLog } from './log.js'
import { StoreConflict, type ApiKeyPort, type Clock, type TombstoneSubject } from './ports.js'
import type { Units } from './units.js'

const noSuchUser = () => new VaultError('user_id_not_exists', 'there is no such user_id')
const noSuchApiKey = () =>
  new VaultError('api_key_not_found', 'the user has no such API key, or it was revoked already')

/** Users and their API keys, as the operator manages them. */
export class Users {
  constructor(
    private readonly units: Units,
    private readonly apiKeys: ApiKeyPort,
    private readonly authentication: Authentication,
    private readonly clock: Clock,
    private readonly log: VaultLog,
  ) {}

  async create(request: CreateUserRequest): Promise<{ userId: string; apiKey: string }> {
    const { name } = request
    const given = request.userId !== undefined
    const userId = given ? parseUuid('user_id', request.userId) : newUuid()
    const now = this.clock.now()
    const issued = this.apiKeys.issue({ userId, issuedAt: now, expiresAt: null })
    try {
      await this.units.run(async (uow) => {
        if (given && (await uow.tombstones.has({ kind: 'user', userId })))
          throw new VaultError(
            'unique_violation',
            'a user with this user_id was deleted; lift its tombstone first',
          )
        await uow.users.insert({ userId, name, createdAt: now, recovered: false })
        await uow.apiKeys.insert({
          ...issued.claims,
          secretHash: issued.secretHash,
          recovered: false,
        })
      })
    } catch (e) {
      if (!(e instanceof StoreConflict)) throw e
      if (e.conflict === 'user_name')
        throw new VaultError('user_name_already_exists', 'there is a user of this name')
      if (e.conflict === 'user_id')
        throw new VaultError('unique_violation', 'there is a user with this user_id')
      throw e
    }
    this.log({ event: 'user_created', user_id: userId })
    return { userId, apiKey: issued.text }
  }

  async generateApiKey(wanted: string): Promise<{ userId: string; apiKey: string }> {
    const userId = parseUuid('user_id', wanted)
    const issued = this.apiKeys.issue({ userId, issuedAt: this.clock.now(), expiresAt: null })
    await this.units.run(async (uow) => {
      if ((await uow.users.byId(userId)) === undefined) throw noSuchUser()
      await uow.apiKeys.insert({
        ...issued.claims,
        secretHash: issued.secretHash,
        recovered: false,
      })
    })
    this.log({ event: 'api_key_issued', user_id: userId, api_key_id: issued.claims.apiKeyId })
    return { userId, apiKey: issued.text }
  }

  /**
   * Revokes for ever. Also a key of the time before a loss that has not come back yet, so that it never does: its tag
   * shows that it is one of ours.
   */
  async revokeApiKey(request: { apiKey: string; userId: string }): Promise<void> {
    const userId = parseUuid('user_id', request.userId)
    const parsed = this.apiKeys.parse(request.apiKey)
    const own = parsed?.claims.userId === userId
    const tagged = own && this.apiKeys.verifyTag(request.apiKey)
    const apiKeyId = parsed?.claims.apiKeyId ?? ''
    const revoking = this.units.run(async (uow) => {
      const userKnown = (await uow.users.byId(userId)) !== undefined
      if (!userKnown && !tagged) throw noSuchUser()
      if (parsed === undefined || !own) throw noSuchApiKey()
      if (await uow.tombstones.has({ kind: 'api_key', apiKeyId })) throw noSuchApiKey()
      const known = await uow.apiKeys.byId(apiKeyId)
      const matches =
        known === undefined
          ? tagged
          : known.userId === userId && equalBytes(known.secretHash, parsed.secretHash)
      if (!matches) throw noSuchApiKey()
      await uow.apiKeys.revoke(userId, apiKeyId, this.clock.now())
    })
    // Also when it failed: a commit that broke off may have happened.
    await revoking.finally(() => {
      this.authentication.forget()
    })
    this.log({ event: 'api_key_revoked', user_id: userId, api_key_id: apiKeyId })
  }

  async delete(wanted: string): Promise<void> {
    const userId = parseUuid('user_id', wanted)
    try {
      await this.units.run(async (uow) => {
        if (!(await uow.users.delete(userId, this.clock.now()))) throw noSuchUser()
      })
    } catch (e) {
      if (e instanceof StoreConflict && e.conflict === 'user_has_keys')
        throw new VaultError('user_has_associated_keys', 'delete the key shares of this user first')
      throw e
    } finally {
      this.authentication.forget()
    }
    this.log({ event: 'user_deleted', user_id: userId })
  }

  async deleteTombstone(request: DeleteTombstoneRequest): Promise<void> {
    const subjects = tombstones(request)
    await this.units.run(async (uow) => {
      let lifted = false
      for (const subject of subjects) lifted = (await uow.tombstones.lift(subject)) || lifted
      if (!lifted) throw new VaultError('tombstone_not_found', 'there is no such tombstone')
    })
    this.log({ event: 'tombstone_lifted', kind: request.kind })
  }
}

/** A public key's tombstone names this vault's party as well; the operator knows only the key. */
function tombstones(request: DeleteTombstoneRequest): TombstoneSubject[] {
  switch (request.kind) {
    case 'user':
      return [{ kind: 'user', userId: parseUuid('user_id', request.userId) }]
    case 'user_name':
      return [{ kind: 'user_name', name: request.name }]
    case 'share': {
      const userId = parseUuid('user_id', request.userId)
      const publicKey = parseHex('pubkey', request.pubkey, 33)
      return Array.from({ length: MAX_PARTIES }, (_, i) => ({
        kind: 'share',
        userId,
        publicKey,
        party: i + 1,
      }))
    }
  }
}
