import { bytesToHex, equalBytes } from '@vertex/mpc'
import { denied } from './errors.js'
import type { Caller } from './facade.js'
import type { VaultLog } from './log.js'
import type { ApiKeyClaims, ApiKeyPort, Clock, UnitOfWork } from './ports.js'
import type { Trail } from './trail.js'
import type { Units } from './units.js'

/** How long an API key that was looked up is not looked up again: another replica may have revoked it since. */
const REMEMBERED_MS = 5_000
/** How many at most; the one that was looked up first goes. */
const REMEMBERED = 10_000

interface Accepted {
  readonly caller: Caller
  readonly expiresAt: number | null
  readonly at: number
}

/**
 * Recognises callers, and lets users of the time before a total loss in: an API key that this database does not know,
 * that was issued before the database was born and bears the vault's own tag, re-creates its user under the id in it.
 */
export class Authentication {
  /** API keys that the database knew a moment ago, by the hash of their text. */
  readonly #accepted = new Map<string, Accepted>()
  #forgotten = 0
  /** Those that come back just now, by the hash of their API key. */
  readonly #returning = new Map<string, Promise<void>>()

  constructor(
    private readonly units: Units,
    private readonly apiKeys: ApiKeyPort,
    private readonly clock: Clock,
    private readonly log: VaultLog,
    /** API keys issued before this time are not accepted, known or not. Milliseconds since 1970. */
    private readonly notBefore: number,
    private readonly trail: Trail,
  ) {}

  /** @throws VaultError `access_denied`, `storage_unavailable` */
  async authenticate(text: string, requestId?: string): Promise<Caller> {
    const parsed = this.apiKeys.parse(text)
    if (parsed === undefined) throw denied()
    const { claims, secretHash } = parsed
    if (claims.issuedAt < this.notBefore) throw denied()
    const hash = bytesToHex(secretHash)
    const remembered = this.#remembered(hash)
    if (remembered !== undefined) {
      if (this.#expired(remembered.expiresAt)) throw denied()
      return remembered.caller
    }
    const forgotten = this.#forgotten
    // From now on, not from the answer on, another replica may revoke it.
    const asked = this.clock.now()
    const known = await this.units.run((uow) => uow.apiKeys.byId(claims.apiKeyId))
    if (known !== undefined) {
      const matches = equalBytes(known.secretHash, secretHash) && known.userId === claims.userId
      if (!matches || this.#expired(known.expiresAt)) throw denied()
      const caller = { userId: known.userId, apiKeyId: known.apiKeyId }
      // Not if a key was revoked here while the database was asked.
      if (forgotten === this.#forgotten)
        this.#remember(hash, { caller, expiresAt: known.expiresAt, at: asked })
      return caller
    }
    const caller = { userId: claims.userId, apiKeyId: claims.apiKeyId }
    // Once, and one record of it, however many requests bring the key at the same time.
    let returning = this.#returning.get(hash)
    if (returning === undefined) {
      returning = this.#recover(text, claims, secretHash, requestId).finally(() =>
        this.#returning.delete(hash),
      )
      this.#returning.set(hash, returning)
    }
    await returning
    return caller
  }

  /** To be called once a key is revoked or a user deleted: here, both count at once. */
  forget(): void {
    this.#forgotten++
    this.#accepted.clear()
  }

  #remembered(hash: string): Accepted | undefined {
    const accepted = this.#accepted.get(hash)
    if (accepted === undefined) return undefined
    const age = this.clock.now() - accepted.at
    if (age >= 0 && age < REMEMBERED_MS) return accepted
    this.#accepted.delete(hash)
    return undefined
  }

  #remember(hash: string, accepted: Accepted): void {
    const [first] = this.#accepted.keys()
    if (this.#accepted.size >= REMEMBERED && first !== undefined) this.#accepted.delete(first)
    this.#accepted.set(hash, accepted)
  }

  async #recover(
    text: string,
    claims: ApiKeyClaims,
    secretHash: Uint8Array,
    requestId: string | undefined,
  ): Promise<void> {
    if (this.#expired(claims.expiresAt) || !this.apiKeys.verifyTag(text)) throw denied()
    const { apiKeyId, userId, issuedAt, expiresAt } = claims
    const find = (uow: UnitOfWork) => this.#whatReturns(uow, claims, secretHash)
    // What has no right to come back is refused before anything is recorded, as every wrong key is.
    if ((await this.units.run(find)) === 'nothing') return
    const caller = { userId, apiKeyId, ...(requestId !== undefined && { requestId }) }
    const recovered = await this.trail.around({ action: 'recover', caller }, () =>
      this.units.runAgainOnConflict(async (uow) => {
        const what = await find(uow)
        if (what === 'nothing') return false
        if (what === 'user') {
          const createdAt = this.clock.now()
          await uow.users.insert({ userId, name: nameOf(userId), createdAt, recovered: true })
        }
        await uow.apiKeys.insert({
          ...{ apiKeyId, userId, secretHash, issuedAt, expiresAt },
          recovered: true,
        })
        return true
      }),
    )
    if (recovered) this.log({ event: 'recovered', user_id: userId, api_key_id: apiKeyId })
  }

  /** What this key may bring back: itself, and its user unless it is there. @throws VaultError `access_denied` */
  async #whatReturns(
    uow: UnitOfWork,
    { apiKeyId, userId, issuedAt }: ApiKeyClaims,
    secretHash: Uint8Array,
  ): Promise<'nothing' | 'key' | 'user'> {
    const known = await uow.apiKeys.byId(apiKeyId)
    if (known !== undefined) {
      // Another server was faster.
      if (!equalBytes(known.secretHash, secretHash)) throw denied()
      return 'nothing'
    }
    const { bornAt } = await uow.meta.get()
    if (issuedAt >= bornAt) throw denied()
    if (await uow.tombstones.has({ kind: 'api_key', apiKeyId })) throw denied()
    if (await uow.tombstones.has({ kind: 'user', userId })) throw denied()
    const user = await uow.users.byId(userId)
    if (user !== undefined) {
      // The same user, brought back by another of its keys, or older than this key (the database was put back from a
      // copy that does not have the key yet). A user made later under this id is somebody whom the operator decides
      // about, and has a key of its own.
      if (user.recovered || user.createdAt <= issuedAt) return 'key'
      throw denied()
    }
    const name = nameOf(userId)
    if (await uow.tombstones.has({ kind: 'user_name', name })) throw denied()
    if ((await uow.users.byName(name)) !== undefined) throw denied()
    return 'user'
  }

  #expired(expiresAt: number | null): boolean {
    return expiresAt !== null && expiresAt <= this.clock.now()
  }
}

/** A key does not carry its user's name; the id stands in until the operator gives another. */
const nameOf = (userId: string) => userId
