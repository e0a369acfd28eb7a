import { createTransport } from 'nodemailer'
import { MailRefused, type SendMail } from './mail.js'

/** A mail server, and in whose name it is asked. */
export interface SmtpPlace {
  /** `smtp://user:password@host:587`, or `smtps://…` for TLS from the first byte. */
  readonly url: string
  /** The address that mails come from. */
  readonly from: string
}

const TIMEOUT_MS = 20_000

/** Sends through a mail server: with TLS, unless it is on this machine. */
export function sendBySmtp({ url, from }: SmtpPlace): SendMail & { close(): void } {
  const { protocol, hostname, port, username, password } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const secure = protocol === 'smtps:'
  const isHere = /^(?:localhost|::1|127(?:\.\d+){3})$/.test(host)
  const transport = createTransport({
    host,
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    // A server that offers no TLS, or somebody between who hides the offer, gets neither password nor link.
    requireTLS: !secure && !isHere,
    ignoreTLS: !secure && isHere,
    ...(username === ''
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const send: SendMail = async ({ to, subject, text }) => {
    try {
      await transport.sendMail({
        from,
        // As an object it is one address, whatever is in it.
        to: { name: '', address: to },
        subject,
        text,
        // Nobody is to answer, no machine either.
        headers: { 'Auto-Submitted': 'auto-generated' },
      })
    } catch (thrown) {
      throw new MailRefused(`the mail server: ${codeOf(thrown)}`)
    }
  }
  return Object.assign(send, { close: () => transport.close() })
}

/** What a server says of a mail may have the address in it. */
function codeOf(thrown: unknown): string {
  const { code, responseCode } = thrown as { code?: unknown; responseCode?: unknown }
  return [code, responseCode]
    .filter((each) => typeof each === 'string' || typeof each === 'number')
    .join(' ')
}
