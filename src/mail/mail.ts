/** A mail to one address, in plain text. */
export interface Mail {
  /** One mailbox and nothing else: whoever makes a mail has seen to that. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** Resolves when somebody else has taken the mail. Rejects with an Error whose message is fit for the log. */
export type SendMail = (mail: Mail) => Promise<void>

/** A mail was not taken; the message names no address. */
export class MailRefused extends Error {
  override readonly name = 'MailRefused'
}
