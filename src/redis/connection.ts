import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../error-code.js'
import { loginTo, type TokenFor } from './login.js'

/** Redis cannot be asked now. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
  /** Whether it was asked and has not answered: then nobody knows whether it was done. */
  readonly unanswered: boolean
  constructor(options: { cause?: unknown; unanswered?: boolean } = {}) {
    super('Redis is not available', options)
    this.unanswered = options.unanswered ?? false
  }
}

/** A script in Lua, which Redis runs as one step. */
export interface Script {
  readonly text: string
  readonly sha: string
}

export const script = (text: string): Script => ({
  text,
  sha: createHash('sha1').update(text).digest('hex'),
})

export type Argument = string | Buffer

/** What Redis answers; all text is bytes. */
export type Reply = Buffer | number | null | readonly Reply[]

/** For the log. */
export type RedisEvent =
  | { readonly event: 'redis_connected' }
  /** `code`: of the system, or the first word of what Redis said. */
  | { readonly event: 'redis_lost'; readonly code: string }
  | { readonly event: 'redis_token_refused' }

export interface RedisOptions {
  readonly url: string
  readonly tokenFor?: TokenFor | undefined
  /** All that will ever be run. */
  readonly scripts: readonly Script[]
  readonly log: (event: RedisEvent) => void
}

const CONNECT_MS = 5_000
/** Redis must give a sign of life this often, and within this time. */
const PING_MS = 1_000
const PATIENCE_MS = 2_000
const RETRY_MS = 250

type Client = Awaited<ReturnType<typeof newClient>>

/** Two connections, for commands and for what is published, that live and die together. */
interface Session {
  readonly commands: Client
  readonly listener: Client
  readonly ended: Promise<unknown>
  readonly end: (cause: unknown) => void
}

/**
 * The Redis that replicas share. It connects again by itself; nothing that is asked for meanwhile waits for that.
 * Commands are carried out in the order in which they were given, or not at all.
 */
export class Redis {
  readonly #options: RedisOptions
  readonly #channels = new Map<string, (message: Buffer) => void>()
  readonly #onReady: (() => void)[] = []
  readonly #onLost: (() => void)[] = []
  #session: Session | undefined
  #running: Promise<void> | undefined
  readonly #closing = new AbortController()

  constructor(options: RedisOptions) {
    this.#options = options
    // Whatever is wrong with the URL comes out here.
    loginTo(options.url, options.tokenFor)
  }

  get ready(): boolean {
    return this.#session !== undefined
  }

  /** Called each time the connection is there, with every subscription in place. */
  onReady(listener: () => void): void {
    this.#onReady.push(listener)
  }

  onLost(listener: () => void): void {
    this.#onLost.push(listener)
  }

  /** What is published there, from the next connection on. */
  subscribe(channel: string, listener: (message: Buffer) => void): void {
    this.#channels.set(channel, listener)
  }

  /** Connects, and stays connected until {@link close}. Resolves after the first attempt, whatever came of it. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(resolve)
    })
  }

  /** @throws RedisUnavailable */
  async send(...command: readonly Argument[]): Promise<Reply> {
    const session = this.#session
    if (session === undefined) throw new RedisUnavailable()
    try {
      return await session.commands.sendCommand<Reply>([...command])
    } catch (cause) {
      // What was loaded with the connection was thrown away, or another one is the primary now: a new one is better.
      if (['NOSCRIPT', 'READONLY'].includes(codeOf(cause))) session.end(cause)
      const { ErrorReply } = await import('@redis/client')
      throw new RedisUnavailable({ cause, unanswered: !(cause instanceof ErrorReply) })
    }
  }

  /** @throws RedisUnavailable */
  run({ sha }: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.send('EVALSHA', sha, String(keys.length), ...keys, ...args)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session?.end(new Error('closed'))
    await this.#running
  }

  async #run(firstAttempt: () => void): Promise<void> {
    const { log } = this.#options
    const { signal } = this.#closing
    const isClosing = () => signal.aborted
    let said = ''
    while (!isClosing()) {
      let cause: unknown
      try {
        const session = await this.#open()
        said = ''
        log({ event: 'redis_connected' })
        cause = await this.#use(session, firstAttempt)
      } catch (error) {
        cause = error
      }
      firstAttempt()
      if (isClosing()) return
      const code = codeOf(cause)
      if (code !== said) log({ event: 'redis_lost', code })
      said = code
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Lasts as long as the session. @returns why it ended */
  async #use(session: Session, ready: () => void): Promise<unknown> {
    this.#session = session
    // Told to close while it was opened.
    if (this.#closing.signal.aborted) session.end(new Error('closed'))
    for (const listener of this.#onReady) listener()
    ready()
    const stopWatching = watch(session)
    const cause = await session.ended
    stopWatching()
    this.#session = undefined
    for (const listener of this.#onLost) listener()
    return cause
  }

  async #open(): Promise<Session> {
    let end: (cause: unknown) => void = ignore
    const ended = new Promise<unknown>((resolve) => {
      end = resolve
    })
    const clients = [await newClient(this.#options), await newClient(this.#options)] as const
    const [commands, listener] = clients
    for (const client of clients) {
      client.on('error', end)
      client.on('end', () => {
        end(new Error('the connection ended'))
      })
    }
    void ended.then(() => {
      for (const client of clients) if (client.isOpen) client.destroy()
    })
    const prepared = async () => {
      await Promise.all(clients.map((client) => client.connect()))
      for (const { text } of this.#options.scripts)
        await commands.sendCommand(['SCRIPT', 'LOAD', text])
      // One that only reads, or is full, is not the one that is looked for.
      await commands.sendCommand(['SET', 'vertex:writable', '', 'PX', '60000'])
      for (const [channel, take] of this.#channels) await listener.subscribe(channel, take, true)
    }
    const failed = ended.then((cause) => {
      throw cause
    })
    try {
      await within(CONNECT_MS, Promise.race([prepared(), failed]))
    } catch (error) {
      end(error)
      throw error
    }
    failed.catch(() => undefined)
    return { commands, listener, ended, end }
  }
}

async function newClient({ url, tokenFor, log }: RedisOptions) {
  // Loaded only where there is a Redis: it costs a quarter of a second of every start, and 20 MB.
  const { createClient, RESP_TYPES } = await import('@redis/client')
  return createClient({
    url,
    RESP: 3,
    ...loginTo(url, tokenFor, log),
    // A command whose fate is not known must not be sent again, and a new connection is not the old one.
    disableOfflineQueue: true,
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_MS, keepAlive: true },
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandOptions: {
      typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.SIMPLE_STRING]: Buffer },
    },
  })
}

/** Ends a session whose Redis is silent: a connection may be there for minutes with nobody behind it. */
function watch(session: Session): () => void {
  const timer = setInterval(() => {
    const alive = [session.commands, session.listener].map((client) => client.ping())
    within(PATIENCE_MS, Promise.all(alive)).catch(session.end)
  }, PING_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error('SILENT no answer in time'))
    }, ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Never the message itself, which may repeat what was sent. */
function codeOf(cause: unknown): string {
  const said = cause instanceof Error ? cause.message : ''
  return errorCode(cause) ?? /^[A-Z]{3,20}(?= )/.exec(said)?.[0] ?? 'unknown'
}

const ignore = () => undefined
