import { letter } from '../../../src/directory/share/letter.js'
import { Mails, type MailEvent } from '../../../src/directory/share/mails.js'
import { defaultShareSettings, type ShareSettings } from '../../../src/directory/share/settings.js'
import { ShareStore } from '../../../src/directory/share/store.js'
import { shareSystem, type ShareSystemOptions } from '../../../src/directory/share/system.js'
import { directoryTables } from '../../../src/compose/directory.js'
import { createLogger } from '../../../src/compose/index.js'
import { createDirectoryApp } from '../../../src/http/directory-app.js'
import { createServer, listen } from '../../../src/http/server.js'
import type { SendMail } from '../../../src/mail/index.js'
import { openUnsealed, type Database } from '../../../src/store/index.js'
import {
  decodeError,
  decodeResponse,
  encodeShareRequest,
  encodeFetchRequest,
  decodeShared,
  decodeFetched,
  type ShareRequest,
} from '@vertex/directory/share'
import { contactPayload } from './payloads.js'

export interface ShareServerOptions {
  readonly settings?: Partial<ShareSettings>
  readonly send?: SendMail
  readonly more?: Partial<ShareSystemOptions>
  readonly now?: () => number
}

/** The end of every answer, in the place of a topology. */
export const TAIL = new TextEncoder().encode('the topology')

/** A server of share codes, in this process, on a database. */
export async function startShares(database: Database, options: ShareServerOptions = {}) {
  const now = options.now ?? Date.now
  const store = await openUnsealed(database, directoryTables)
  const settings: ShareSettings = {
    ...defaultShareSettings,
    publicUrl: 'https://keys.example/v1/share',
    ...options.settings,
  }
  const mailLimits = { perEmail: settings.mailsPerEmail, perSource: settings.mailsPerSource }
  const shares = new ShareStore(store, { now, mailLimits })
  const mailEvents: MailEvent[] = []
  const { send } = options
  const mails =
    send &&
    new Mails(
      store,
      now,
      (to, url) => send({ to, ...letter(url) }),
      (event) => mailEvents.push(event),
    )
  const cluster = {
    locator: () => ({ primary: 0, secondary: 1 }),
    serves: (code: string) => /^(?:0|.0)/.test(code),
    topology: () => TAIL,
  }
  const system = shareSystem({ shares, mails, cluster, settings, ...options.more })
  const log: string[] = []
  const logger = createLogger('info', { write: (line) => log.push(line) })
  const server = createServer(createDirectoryApp(system, { logger, draining: () => false }))
  const port = await listen(server, '127.0.0.1', 0)
  const url = `http://127.0.0.1:${port}`
  const post = async (body: Uint8Array | string, path = '/v1/share') => {
    const response = await fetch(`${url}${path}`, { method: 'POST', body: Buffer.from(body) })
    const bytes = new Uint8Array(await response.arrayBuffer())
    const { headers } = response
    const [type, wait] = [headers.get('content-type'), headers.get('retry-after')]
    return { status: response.status, type, wait, bytes }
  }
  /** What an answer in an envelope says. */
  const said = async (body: Uint8Array | string, path?: string) => {
    const { status: http, type, wait, bytes } = await post(body, path)
    const response = decodeResponse(bytes)
    const { status, operation, tail } = response
    const message = status === 0 ? '' : decodeError(response.body).message
    return { http, type, wait, status, operation, message, body: response.body, tail: tail.length }
  }
  const share = async (asked: Partial<ShareRequest> = {}) => {
    const whole = { ttlSeconds: 0, maxFetches: 1, payload: contactPayload(), ...asked }
    const answer = await said(encodeShareRequest(whole))
    if (answer.status !== 0) throw new Error(`${answer.status}: ${answer.message}`)
    return { ...decodeShared(answer.body), payload: whole.payload }
  }
  /** @returns the number of the status where there is none */
  const take = async (code: string) => {
    const answer = await said(encodeFetchRequest(code))
    return answer.status === 0 ? decodeFetched(answer.body) : answer.status
  }
  return {
    url,
    store,
    shares,
    mails,
    mailEvents,
    log,
    post,
    said,
    share,
    take,
    async stop() {
      server.closeAllConnections()
      server.close()
      await mails?.sendDue().catch(() => undefined)
      await store.close()
    },
  }
}
