import { randomBytes, randomInt } from 'node:crypto'
import { codeOf, type Locator, type ShareEvent } from '@vertex/directory/share'
import { isStorable } from '../../store/columns.js'
import type { Row, Unit, UnitStore } from '../../store/index.js'
import { appendLeaf, eraseLeaf } from '../log/leaves.js'
import {
  attestationOf,
  countedAs,
  deleteTokenHash,
  emailTokenHash,
  verificationDigest,
} from './hashes.js'
import { addMail, dropMails } from './mails.js'
import { CODES, COUNTS, SECRET } from './tables.js'

/** How many links are mailed in an hour; 0 for as many as are asked for. */
export interface MailLimits {
  readonly perEmail: number
  readonly perSource: number
}

export interface ShareStoreOptions {
  readonly now: () => number
  readonly mailLimits: MailLimits
  /**
   * Told of each change, in the unit that makes it: what goes to other servers is kept with it, or not at all. And when
   * the share ends, or would have.
   */
  readonly tell?:
    ((unit: Unit, event: ShareEvent, endsAt: number | undefined) => Promise<void>) | undefined
}

export interface NewShare {
  /** Which servers the code names. */
  readonly locator: Locator
  /** Known to be one. */
  readonly payload: Uint8Array
  readonly ttlMs: number
  readonly maxFetches: number
  readonly verification?: NewVerification | undefined
}

export interface NewVerification {
  /** Normalised. */
  readonly email: string
  /** Who asks for the mail. */
  readonly source: string
  readonly linkOf: (code: string, token: string) => string
}

export interface CreatedShare {
  readonly code: string
  readonly deleteToken: Uint8Array
  readonly expiresAt: number
  /** What the mail has in it. */
  readonly link?: string | undefined
}

export interface TakenShare {
  readonly payload: Uint8Array
  readonly expiresAt: number
  readonly remaining: number
  /** Of one for whose address this database had a link sent. */
  readonly verification?: {
    readonly email: string
    /** 0 while it is not. */
    readonly verifiedAt: number
    /** Empty while it is not. */
    readonly attestation: Uint8Array
  }
}

/** What came of it that somebody named a code and a token. */
export type Outcome = 'done' | 'missing' | 'wrong_token' | 'locked'

/** A share that is still to be had, as another server is told of it. */
export type LiveShare = Extract<ShareEvent, { kind: 'put' }>

/** Too many mails to one address, or for one who asks. */
export class TooManyMails extends Error {
  override readonly name = 'TooManyMails'
}

/** What happened here since the process began. */
export interface ShareCounts {
  created: number
  fetched: number
  deleted: number
  expired: number
  misses: number
}

/** So often somebody may name a code with a wrong token; then no token of it is looked at any more. 9.5 */
export const MOST_FAILURES = 16
const HOUR = 3_600_000
/** So many rows are deleted at once. */
const STEP = 200
const KIND = 'contact-verification'

/** Shares by their codes. docs/spec/share-codes.md, sections 7 and 8 */
export class ShareStore {
  readonly counts: ShareCounts = { created: 0, fetched: 0, deleted: 0, expired: 0, misses: 0 }
  #secret: Buffer | undefined

  constructor(
    private readonly store: UnitStore,
    private readonly options: ShareStoreOptions,
  ) {}

  /** 7.1 @throws TooManyMails */
  async create(share: NewShare): Promise<CreatedShare> {
    const { payload, maxFetches, verification } = share
    const now = this.options.now()
    const expiresAt = now + share.ttlMs
    const deleteToken = randomBytes(32)
    const hash = deleteTokenHash(deleteToken)
    const secret = verification && (await this.secret())
    for (;;) {
      const code = codeOf(
        share.locator,
        String(randomInt(1e6)).padStart(6, '0') + String(randomInt(1e6)).padStart(6, '0'),
      )
      const event = {
        kind: 'put',
        code,
        deleteTokenHash: hash,
        payload,
        expiresAt,
        maxFetches,
        fetches: 0,
        email: verification?.email,
      } as const
      const token = randomBytes(32).toString('hex')
      const link = verification?.linkOf(code, token)
      const isNew = await this.#inOne(verification === undefined, async (rows, unit) => {
        const tokenHash = verification && emailTokenHash(token)
        if (!(await insert(rows, event, tokenHash))) return false
        if (unit === undefined) return true
        if (verification !== undefined && link !== undefined && secret !== undefined) {
          await this.#countMail(unit, secret, verification, now)
          await addMail(unit, { code, email: verification.email, url: link, now, expiresAt })
        }
        await this.options.tell?.(unit, event, expiresAt)
        return true
      })
      // Somebody else's share has this code, which is one in very many.
      if (!isNew) continue
      this.counts.created++
      return { code, deleteToken, expiresAt, link }
    }
  }

  /**
   * Gives out a share, once more than before. Of all who ask for the last time that it is given out, on all servers of
   * this database, one gets it. 7.2
   */
  async take(code: string): Promise<TakenShare | undefined> {
    const now = this.options.now()
    const row = isStorable(code) ? await this.#taken(code, now) : undefined
    if (row === undefined) {
      this.counts.misses++
      return undefined
    }
    this.counts.fetched++
    const taken = {
      payload: row['payload'] as Buffer,
      expiresAt: Number(row['expires_at']),
      remaining: Number(row['remaining']),
    }
    if (row['email_token_hash'] === null) return taken
    const [email, verifiedAt] = [String(row['email']), Number(row['verified_at'] ?? 0)]
    const { expiresAt } = taken
    const attestation =
      verifiedAt === 0
        ? new Uint8Array()
        : attestationOf(await this.secret(), { code, email, verifiedAt, expiresAt })
    return { ...taken, verification: { email, verifiedAt, attestation } }
  }

  async #taken(code: string, now: number): Promise<Row | undefined> {
    if (this.options.tell === undefined) {
      // The only time it is given out, and the log says nothing of it: one statement.
      const [only] = await this.store.change(
        `DELETE FROM ${CODES} WHERE code = $1 AND expires_at > $2 AND fetches + 1 = max_fetches AND email IS NULL
         RETURNING payload, expires_at, 0 AS remaining, email, email_token_hash, verified_at`,
        [code, now],
      )
      if (only !== undefined) return only
    }
    const [live] = await this.store.select(
      `SELECT code FROM ${CODES} WHERE code = $1 AND expires_at > $2`,
      [code, now],
    )
    if (live === undefined) return undefined
    return this.store.inUnit(async (unit) => {
      const [row] = await unit.rows(
        `UPDATE ${CODES} SET fetches = fetches + 1
         WHERE code = $1 AND expires_at > $2 AND fetches < max_fetches
         RETURNING payload, expires_at, fetches, max_fetches - fetches AS remaining,
           email, email_token_hash, verified_at`,
        [code, now],
      )
      if (row === undefined) return undefined
      const isLast = Number(row['remaining']) === 0
      if (isLast) await erase(unit, code)
      const fetches = Number(row['fetches'])
      await this.options.tell?.(
        unit,
        isLast ? { kind: 'tombstone', code } : { kind: 'fetches', code, fetches },
        Number(row['expires_at']),
      )
      return row
    })
  }

  /** 7.3 */
  async delete(code: string, token: Uint8Array): Promise<Outcome> {
    if (!isStorable(code)) return 'missing'
    const hash = deleteTokenHash(token).toString('hex')
    const outcome = await this.#ifToken(code, 'delete_token_hash', hash, async (unit) => {
      const endsAt = await erase(unit, code)
      await this.options.tell?.(unit, { kind: 'tombstone', code }, endsAt)
    })
    if (outcome === 'done') this.counts.deleted++
    if (outcome === 'missing') this.counts.misses++
    return outcome
  }

  /** Takes an address for verified, once. 8.3 @returns the address, if the token is the one that was sent to it */
  async verify(code: string, token: string): Promise<{ outcome: Outcome; email?: string }> {
    if (!isStorable(code)) return { outcome: 'missing' }
    const now = this.options.now()
    let email: string | undefined
    const hash = emailTokenHash(token).toString('hex')
    const outcome = await this.#ifToken(code, 'email_token_hash', hash, async (unit) => {
      const [row] = await unit.rows(
        `UPDATE ${CODES} SET verified_at = $1 WHERE code = $2 AND verified_at IS NULL
         RETURNING email, payload`,
        [now, code],
      )
      const known =
        row ?? (await unit.rows(`SELECT email FROM ${CODES} WHERE code = $1`, [code]))[0]
      email = String(known?.['email'])
      if (row === undefined) return
      const digest = verificationDigest(row['payload'] as Buffer, now)
      await appendLeaf(unit, { kind: KIND, subject: email, source: code, digest, at: now })
    })
    return email === undefined ? { outcome } : { outcome, email }
  }

  /** Does something to a share for who has its token, and counts who has not. 9.5 */
  #ifToken(
    code: string,
    column: 'delete_token_hash' | 'email_token_hash',
    hash: string,
    work: (unit: Unit) => Promise<void>,
  ): Promise<Outcome> {
    const now = this.options.now()
    return this.store.inUnit(async (unit) => {
      const [row] = await unit.rows(
        `SELECT ${column} AS hash, failures FROM ${CODES} WHERE code = $1 AND expires_at > $2`,
        [code, now],
      )
      if (row === undefined) return 'missing'
      // Without a link there is none that could be wrong.
      if (row['hash'] === null) return 'missing'
      if (Number(row['failures']) >= MOST_FAILURES) return 'locked'
      if (row['hash'] === hash) {
        await work(unit)
        return 'done'
      }
      await unit.rows(
        `UPDATE ${CODES} SET failures = failures + 1 WHERE code = $1 RETURNING code`,
        [code],
      )
      return 'wrong_token'
    })
  }

  /** Deletes what nobody can have any more, some at a time. 7.4 */
  async purge(): Promise<void> {
    const now = this.options.now()
    let found: readonly Row[]
    do {
      found = await this.store.select(
        `SELECT code FROM ${CODES} WHERE expires_at <= $1 ORDER BY expires_at LIMIT ${STEP}`,
        [now],
      )
      if (found.length > 0)
        await this.store.inUnit(async (unit) => {
          for (const { code } of found) await erase(unit, String(code))
        })
      this.counts.expired += found.length
    } while (found.length === STEP)
    await this.store.change(`DELETE FROM ${COUNTS} WHERE counted_at <= $1 RETURNING id`, [
      now - HOUR,
    ])
  }

  /** How many can be had now. */
  async live(): Promise<number> {
    const [row] = await this.store.select(
      `SELECT count(*) AS live FROM ${CODES} WHERE expires_at > $1`,
      [this.options.now()],
    )
    return Number(row?.['live'])
  }

  /** Those that can be had now, in the order of their codes, some at a time. */
  async liveAfter(code: string, most: number): Promise<readonly LiveShare[]> {
    const rows = await this.store.select(
      `SELECT code, delete_token_hash, payload, expires_at, max_fetches, fetches, email FROM ${CODES}
       WHERE code > $1 AND expires_at > $2 ORDER BY code LIMIT $3`,
      [code, this.options.now(), most],
    )
    return rows.map((row) => ({
      kind: 'put',
      code: String(row['code']),
      deleteTokenHash: Buffer.from(String(row['delete_token_hash']), 'hex'),
      payload: row['payload'] as Buffer,
      expiresAt: Number(row['expires_at']),
      maxFetches: Number(row['max_fetches']),
      fetches: Number(row['fetches']),
      email: (row['email'] ?? undefined) as string | undefined,
    }))
  }

  /**
   * Applies what happened at another server, in the unit that keeps its number. A share that is here already stays as it
   * is: told of it again, it must not be given out more often.
   * @returns when the share ends of which this has changed something
   */
  async apply(unit: Unit, event: ShareEvent): Promise<number | undefined> {
    const { code } = event
    if (!isStorable(code)) return undefined
    switch (event.kind) {
      case 'put': {
        const isLive = event.expiresAt > this.options.now() && event.fetches < event.maxFetches
        const isNew = isLive && (await insert((...asked) => unit.rows(...asked), event))
        return isNew ? event.expiresAt : undefined
      }
      case 'fetches': {
        const [row] = await unit.rows(
          `UPDATE ${CODES} SET fetches = $1 WHERE code = $2 AND fetches < $3
           RETURNING max_fetches - fetches AS remaining, expires_at`,
          [event.fetches, code, event.fetches],
        )
        if (row === undefined) return undefined
        if (Number(row['remaining']) <= 0) await erase(unit, code)
        return Number(row['expires_at'])
      }
      case 'tombstone':
        return erase(unit, code)
    }
  }

  /** What attestations are made with; one for all servers of this database. 8.5 */
  async secret(): Promise<Buffer> {
    if (this.#secret !== undefined) return this.#secret
    await this.store.change(
      `INSERT INTO ${SECRET} (id, secret) VALUES (1, $1) ON CONFLICT DO NOTHING RETURNING id`,
      [randomBytes(32)],
    )
    const [row] = await this.store.select(`SELECT secret FROM ${SECRET}`, [])
    return (this.#secret = row!['secret'] as Buffer)
  }

  /** In a unit where there is more to keep than one row. */
  #inOne<T>(alone: boolean, work: (rows: Rows, unit?: Unit) => Promise<T>): Promise<T> {
    if (alone && this.options.tell === undefined)
      return work((...asked) => this.store.change(...asked))
    return this.store.inUnit((unit) => work((...asked) => unit.rows(...asked), unit))
  }

  /** 9.4 */
  async #countMail(
    unit: Unit,
    secret: Uint8Array,
    { email, source }: NewVerification,
    now: number,
  ): Promise<void> {
    const { perEmail, perSource } = this.options.mailLimits
    for (const [kind, who, most] of [
      ['email', email, perEmail],
      ['source', source, perSource],
    ] as const) {
      if (most === 0) continue
      const counted = countedAs(secret, kind, who)
      const [row] = await unit.rows(
        `SELECT count(*) AS sent FROM ${COUNTS} WHERE who = $1 AND counted_at > $2`,
        [counted, now - HOUR],
      )
      if (Number(row?.['sent']) >= most) throw new TooManyMails()
      await unit.rows(`INSERT INTO ${COUNTS} (who, counted_at) VALUES ($1, $2) RETURNING id`, [
        counted,
        now,
      ])
    }
  }
}

type Rows = UnitStore['change']

/** @returns false where there is a share with this code */
async function insert(rows: Rows, put: LiveShare, tokenHash?: Buffer): Promise<boolean> {
  const { code, payload, expiresAt, maxFetches, fetches, email } = put
  const [row] = await rows(
    `INSERT INTO ${CODES} (code, payload, delete_token_hash, expires_at, max_fetches, fetches, failures, email,
       email_token_hash)
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8) ON CONFLICT DO NOTHING RETURNING code`,
    [
      code,
      Buffer.from(payload),
      Buffer.from(put.deleteTokenHash).toString('hex'),
      expiresAt,
      maxFetches,
      fetches,
      email ?? null,
      tokenHash?.toString('hex') ?? null,
    ],
  )
  return row !== undefined
}

/** With the mail that waits for it, and with what leads from the log to it. @returns when it would have ended */
async function erase(unit: Unit, code: string): Promise<number | undefined> {
  const [row] = await unit.rows(
    `DELETE FROM ${CODES} WHERE code = $1 RETURNING email, verified_at, expires_at`,
    [code],
  )
  if (row === undefined) return undefined
  if (row['email'] !== null) {
    await dropMails(unit, code)
    if (row['verified_at'] !== null) await eraseLeaf(unit, KIND, code)
  }
  return Number(row['expires_at'])
}
