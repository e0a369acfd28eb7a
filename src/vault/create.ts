import { bytesToHex, createIdentity, wipe, type Suite } from '@vertex/mpc'
import { VaultError } from './errors.js'
import type { Caller, VaultIdentityInfo } from './facade.js'
import { newUuid } from './ids.js'
import { limits } from './limits.js'
import type { VaultLog } from './log.js'
import type { NotExists } from './not-exists.js'
import type { Clock } from './ports.js'
import { take, type Rates } from './rates.js'
import type { Units } from './units.js'

/** Begins a key: draws this party's identity for it, which the other parties must know before keygen. */
export class Create {
  constructor(
    private readonly units: Units,
    private readonly suite: Suite,
    private readonly notExists: NotExists,
    private readonly rates: Rates,
    private readonly clock: Clock,
    private readonly log: VaultLog,
  ) {}

  async create(
    caller: Caller,
  ): Promise<{ keyId: string; keygenId: string; vaultIdentity: VaultIdentityInfo | null }> {
    await take(this.rates, 'creates', caller.userId)
    const vaultIdentity = await this.notExists.identityInfo()
    const keyId = newUuid()
    const { secret, keygenId } = createIdentity(this.suite.channel, 'vertex')
    try {
      await this.units.run(async (uow) => {
        const { userId } = caller
        const createdAt = this.clock.now()
        const waiting = await uow.pendingKeys.sweep(userId, createdAt - limits.pendingKeyMs)
        if (waiting >= limits.pendingKeys)
          throw new VaultError(
            'rate_limited',
            `at most ${limits.pendingKeys} keys of one user wait for their keygen; do it, or delete some`,
          )
        await uow.pendingKeys.insert({
          keyId,
          userId,
          keygenId,
          createdAt,
          identitySecret: secret,
        })
      })
    } finally {
      wipe(secret)
    }
    this.log({ event: 'key_created', user_id: caller.userId, key_id: keyId })
    return { keyId, keygenId: bytesToHex(keygenId), vaultIdentity }
  }
}
