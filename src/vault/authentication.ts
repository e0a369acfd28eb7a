import { equalBytes } from '@vertex/mpc'
import { denied } from './errors.js'
import type { Caller } from './facade.js'
import type { VaultLog } from './log.js'
import type { ApiKeyClaims, ApiKeyPort, Clock, UnitOfWork } from './ports.js'
import type { Units } from './units.js'

/**
 * Recognises callers, and lets users of the time before a total loss in: an API key that this database does not know,
 * that was issued before the database was born and bears the vault's own tag, re-creates its user under the id in it.
 */
export class Authentication {
  constructor(
    private readonly units: Units,
    private readonly apiKeys: ApiKeyPort,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    /** API keys issued before this time are not accepted, known or not. Milliseconds since 1970. */
    private readonly notBefore: number,
  ) {}

  /** @throws VaultError `access_denied`, `storage_unavailable` */
  async authenticate(text: string): Promise<Caller> {
    const parsed = this.apiKeys.parse(text)
    if (parsed === undefined) throw denied()
    const { claims, secretHash } = parsed
    if (claims.issuedAt < this.notBefore) throw denied()
    const known = await this.units.run((uow) => uow.apiKeys.byId(claims.apiKeyId))
    if (known !== undefined) {
      const matches = equalBytes(known.secretHash, secretHash) && known.userId === claims.userId
      if (!matches || this.#expired(known.expiresAt)) throw denied()
      return { userId: known.userId, apiKeyId: known.apiKeyId }
    }
    await this.#recover(text, claims, secretHash)
    return { userId: claims.userId, apiKeyId: claims.apiKeyId }
  }

  async #recover(text: string, claims: ApiKeyClaims, secretHash: Uint8Array): Promise<void> {
    if (this.#expired(claims.expiresAt) || !this.apiKeys.verifyTag(text)) throw denied()
    const recovered = await this.units.runAgainOnConflict(async (uow) => {
      const known = await uow.apiKeys.byId(claims.apiKeyId)
      if (known !== undefined) {
        // Another request of the same client was faster.
        if (!equalBytes(known.secretHash, secretHash)) throw denied()
        return false
      }
      if (!(await this.#mayReturn(uow, claims))) throw denied()
      await uow.apiKeys.insert({
        apiKeyId: claims.apiKeyId,
        userId: claims.userId,
        secretHash,
        issuedAt: claims.issuedAt,
        expiresAt: claims.expiresAt,
        recovered: true,
      })
      return true
    })
    if (recovered)
      this.log({ event: 'recovered', user_id: claims.userId, api_key_id: claims.apiKeyId })
  }

  /** Whether this key may come back; makes its user unless it is there. */
  async #mayReturn(
    uow: UnitOfWork,
    { apiKeyId, userId, issuedAt }: ApiKeyClaims,
  ): Promise<boolean> {
    const { bornAt } = await uow.meta.get()
    if (issuedAt >= bornAt) return false
    if (await uow.tombstones.has({ kind: 'api_key', apiKeyId })) return false
    if (await uow.tombstones.has({ kind: 'user', userId })) return false
    const user = await uow.users.byId(userId)
    if (user !== undefined) {
      // The same user, brought back by another of its keys, or older than this key (the database was put back from a
      // copy that does not have the key yet). A user made later under this id is somebody whom the operator decides
      // about, and has a key of its own.
      return user.recovered || user.createdAt <= issuedAt
    }
    // A key does not carry its user's name; the id stands in until the operator gives another.
    const name = userId
    if (await uow.tombstones.has({ kind: 'user_name', name })) return false
    if ((await uow.users.byName(name)) !== undefined) return false
    await uow.users.insert({ userId, name, createdAt: this.clock.now(), recovered: true })
    return true
  }

  #expired(expiresAt: number | null): boolean {
    return expiresAt !== null && expiresAt <= this.clock.now()
  }
}
