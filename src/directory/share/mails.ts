import type { Unit, UnitStore } from '../../store/index.js'
import { MAILS } from './tables.js'

/** Sends one mail. Rejects where it was not taken; then it may be sent again. */
export type SendMail = (email: string, url: string) => Promise<void>

/** What becomes of mails, for the log: no address, no link. */
export type MailEvent =
  | { readonly event: 'share_mail_sent'; readonly attempts: number }
  | { readonly event: 'share_mail_failed'; readonly attempts: number; readonly error: string }

export interface NewMail {
  readonly code: string
  readonly email: string
  readonly url: string
  readonly now: number
  readonly expiresAt: number
}

/** Has a mail sent, if the unit is kept. */
export async function addMail(unit: Unit, mail: NewMail): Promise<void> {
  const { code, email, url, now, expiresAt } = mail
  await unit.rows(
    `INSERT INTO ${MAILS} (code, email, url, due_at, expires_at, attempts)
     VALUES ($1, $2, $3, $4, $5, 0) RETURNING id`,
    [code, email, url, now, expiresAt],
  )
}

export async function dropMails(unit: Unit, code: string): Promise<void> {
  await unit.rows(`DELETE FROM ${MAILS} WHERE code = $1 RETURNING id`, [code])
}

/** Whoever takes a mail to send it has so long; then it is anybody's again. Longer than sending may take. */
const LEASE_MS = 120_000
/** Until it is tried again, after the first failure; twice as long after each further one. */
const RETRY_MS = 10_000
const AT_ONCE = 20
/** So long an end waits for mails under way. */
const END_MS = 3_000

/**
 * Mails that wait in the database until somebody has taken them: they outlive every process, and of all servers one
 * sends each. One that dies between the mail and the row sends it twice. docs/spec/share-codes.md, 8.2
 */
export class Mails {
  #sending: Promise<void> | undefined
  #again = false
  #ended = false

  constructor(
    private readonly store: UnitStore,
    private readonly now: () => number,
    private readonly send: SendMail,
    private readonly log: (event: MailEvent) => void,
  ) {}

  /** Sends what is due without being waited for; what fails is due again. */
  soon(): void {
    this.sendDue().catch(() => undefined)
  }

  /** Begins nothing more and waits a moment for what is on its way: what it does not see taken is sent again. */
  async end(): Promise<void> {
    this.#ended = true
    const moment = new Promise<void>((resolve) => {
      setTimeout(resolve, END_MS).unref()
    })
    await Promise.race([this.#sending?.catch(() => undefined), moment])
  }

  /** Resolves when nothing is due; of several calls at one time the second is one more round of the first. */
  sendDue(): Promise<void> {
    if (this.#ended) return Promise.resolve()
    this.#again = true
    this.#sending ??= this.#rounds().finally(() => (this.#sending = undefined))
    return this.#sending
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.#ended) {
      this.#again = false
      const now = this.now()
      await this.store.change(`DELETE FROM ${MAILS} WHERE expires_at <= $1 RETURNING id`, [now])
      const due = await this.store.select(
        `SELECT id FROM ${MAILS} WHERE due_at <= $1 ORDER BY due_at LIMIT ${AT_ONCE}`,
        [now],
      )
      await Promise.all(due.map(({ id }) => this.#take(Number(id))))
      if (due.length === AT_ONCE) this.#again = true
    }
  }

  async #take(id: number): Promise<void> {
    const now = this.now()
    const [mail] = await this.store.change(
      `UPDATE ${MAILS} SET due_at = $1, attempts = attempts + 1 WHERE id = $2 AND due_at <= $3
       RETURNING email, url, attempts`,
      [now + LEASE_MS, id, now],
    )
    if (mail === undefined) return
    const attempts = Number(mail['attempts'])
    try {
      await this.send(String(mail['email']), String(mail['url']))
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown.message : 'unknown'
      const wait = RETRY_MS * 2 ** Math.min(attempts - 1, 10)
      // Unless it took so long that somebody else has it now.
      await this.store.change(
        `UPDATE ${MAILS} SET due_at = $1 WHERE id = $2 AND attempts = $3 RETURNING id`,
        [this.now() + wait, id, attempts],
      )
      this.log({ event: 'share_mail_failed', attempts, error })
      return
    }
    await this.store.change(`DELETE FROM ${MAILS} WHERE id = $1 RETURNING id`, [id])
    this.log({ event: 'share_mail_sent', attempts })
  }
}
