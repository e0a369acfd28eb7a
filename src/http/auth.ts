import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request } from 'express'
import { networkOf } from '../network.js'
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

  /** @throws HttpProblem `access_denied`, `rate_limited`, and what else the vault throws */
  async user(req: Request, requestId: string): Promise<Caller> {
    return this.authenticate(req, this.credential(req), requestId)
  }

  /** The user, or undefined for the operator. @throws HttpProblem as for a user */
  async userOrAdmin(req: Request, requestId: string): Promise<Caller | undefined> {
    const credential = this.credential(req)
    return this.isAdmin(credential) ? undefined : this.authenticate(req, credential, requestId)
  }

  /** @throws HttpProblem `you_have_to_be_admin` for a user's API key, and as for a user */
  async admin(req: Request, requestId: string): Promise<void> {
    const credential = this.credential(req)
    if (this.isAdmin(credential)) return
    await this.authenticate(req, credential, requestId)
    throw new HttpProblem('you_have_to_be_admin', 'this needs the admin token, not an API key')
  }

  private isAdmin(credential: string): boolean {
    return timingSafeEqual(sha256(credential), this.adminDigest)
  }

  /** The raw header value. A second Authorization header is dropped by Node, so there is one at most. */
  private credential(req: Request): string {
    const value = req.headers.authorization ?? ''
    if (value === '') throw denied('send the key in the Authorization header')
    if (/^bearer /i.test(value))
      throw denied('send the key as it is in the Authorization header, without Bearer')
    return value
  }

  /** Verifies first: what others did from the same address decides only how a failure is answered. */
  private async authenticate(req: Request, credential: string, requestId: string): Promise<Caller> {
    try {
      return await this.vault.authenticate(credential, requestId)
    } catch (error) {
      if (!(error instanceof VaultError) || error.errType !== 'access_denied') throw error
      const retryAfter = this.logins.failed(networkOf(req.ip ?? 'unknown'))
      if (retryAfter > 0)
        throw new HttpProblem('rate_limited', 'too many failed authentications', { retryAfter })
      throw denied('access denied')
    }
  }
}

const denied = (message: string) => new HttpProblem('access_denied', message)

/** Equal lengths for timingSafeEqual, whatever was sent. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
