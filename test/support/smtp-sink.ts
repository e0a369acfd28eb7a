import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail as a mail server gets it. */
export interface Received {
  readonly from: string
  /** Of the envelope. */
  readonly to: readonly string[]
  /** As it came, headers first. */
  readonly raw: string
  readonly text: string
  readonly user: string | undefined
  readonly secure: boolean
}

export interface SmtpSink {
  readonly port: number
  readonly url: string
  readonly mails: Received[]
  /** So many more mails are refused for now. */
  refuse: number
  stop(): Promise<void>
}

/** A real mail server that delivers to nobody. */
export async function startSmtpSink(options: SMTPServerOptions = {}, port = 0): Promise<SmtpSink> {
  const mails: Received[] = []
  const server = new SMTPServer({
    authOptional: true,
    onData(stream, session, callback) {
      const parts: Buffer[] = []
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('end', () => {
        if (sink.refuse > 0) {
          sink.refuse--
          const error = Object.assign(new Error('come back later'), { responseCode: 451 })
          callback(error)
          return
        }
        const raw = Buffer.concat(parts).toString('utf8')
        const { mailFrom, rcptTo } = session.envelope
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw,
          text: textOf(raw),
          user: session.user as string | undefined,
          secure: session.secure,
        })
        callback()
      })
    },
    ...options,
  })
  // A client that goes away in the middle.
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve)
  })
  const bound = (server.server.address() as AddressInfo).port
  const sink: SmtpSink = {
    port: bound,
    url: `smtp://127.0.0.1:${bound}`,
    mails,
    refuse: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
      }),
  }
  return sink
}

/** Of a mail in one part. */
function textOf(raw: string): string {
  const [head = '', ...body] = raw.split('\r\n\r\n')
  const text = body.join('\r\n\r\n')
  if (!/^content-transfer-encoding: quoted-printable/im.test(head)) return text
  return text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

/** The link in a mail. */
export const linkIn = (mail: Received | undefined): string => {
  const link = /^https?:\S+$/m.exec(mail?.text.replace(/\r/g, '') ?? '')?.[0]
  if (link === undefined) throw new Error(`no link in the mail:\n${mail?.raw ?? 'no mail'}`)
  return link
}
