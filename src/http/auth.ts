import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request } from 'express'
import { type Caller, type Vault, VaultError } from '../vault/index.js'
import { HttpProblem } from './errors.js'
import { FailedLogins } from './failed-logins.js'

/** Decides who is calling. What they may do is the vault's business. */
export class Authenticator {
  private readonly logins = new FailedLogins()
  private readonly adminDigest: Buffer

  constructor(
    private readonly vault: Pick<Vault, 'authenticate'>,
    adminToken: string,
  ) {
    this.adminDigest = sha256(adminToken)
  }

  /** @throws HttpProblem `rate_limited`, VaultError `access_denied` and what else the vault throws */
  async user(req: Request): Promise<Caller> {
    const credential = this.credential(req)
    return this.attempt(req, credential, () => this.vault.authenticate(credential))
  }

  /** @throws HttpProblem `you_have_to_be_admin` for a user's API key, `rate_limited`, VaultError `access_denied` */
  async admin(req: Request): Promise<void> {
    const credential = this.credential(req)
    await this.attempt(req, credential, async () => {
      if (timingSafeEqual(sha256(credential), this.adminDigest)) return
      await this.vault.authenticate(credential)
      throw new HttpProblem('you_have_to_be_admin', 'this needs the admin token, not an API key')
    })
  }

  /** The raw header value. A second Authorization header is dropped by Node, so there is one at most. */
  private credential(req: Request): string {
    const value = req.headers.authorization ?? ''
    if (value === '') throw denied('send the key in the Authorization header')
    if (/^bearer /i.test(value))
      throw denied('send the key as it is in the Authorization header, without Bearer')
    return value
  }

  private async attempt<T>(req: Request, credential: string, verify: () => Promise<T>): Promise<T> {
    const source = req.ip ?? 'unknown'
    const wait = this.logins.wait(source, credential)
    if (wait > 0)
      throw new HttpProblem('rate_limited', 'too many failed authentications', { retryAfter: wait })
    try {
      const who = await verify()
      this.logins.succeeded(credential)
      return who
    } catch (error) {
      if (error instanceof VaultError && error.errType === 'access_denied') {
        this.logins.failed(source, credential)
        throw denied('access denied')
      }
      throw error
    }
  }
}

const denied = (message: string) => new HttpProblem('access_denied', message)

/** Equal lengths for timingSafeEqual, whatever was sent. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
