import { mkdirSync, rmSync } from 'node:fs'
import { readFileSync, existsSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Vertex,
  VertexError,
  type EcdsaKey,
  type ErrType,
  type ShareStore,
  type StoredItem,
} from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'
import { ratesRaised } from '../bench/vertex.js'
import { freePort, startServer, type RunningServer } from '../demo/server.js'
import { verifiesWithOpenssl } from '../demo/verify.js'
import { ANCHOR_FILE, auditProblem } from './command.js'
import { CONTROL_VARIABLE, statementsFile, writeControl, type Control } from './control.js'
import type { LabDatabase } from './database.js'
import { described, Ledger, Lost } from './ledger.js'
import { hook, program } from './places.js'
import { complaint } from './troubles.js'

const adminToken = 'laboratory-admin-token-0123456789'
export const passphrase = 'the laboratory is no secret'

/** How long a vault may take to come back before the run is given up. */
const PATIENCE_MS = 60_000
/** How long a start may take: on a machine that is busy with other things it is no fault of the vault. */
export const START_MS = 180_000

export interface WorldOptions {
  readonly folder: string
  readonly database: LabDatabase
  readonly settings?: Readonly<Record<string, string>>
  /** Where the client's store is; in `folder` if absent. */
  readonly shares?: string
  /** Where the hook of the server is told what to do, and writes what it sees; in `folder` if absent. */
  readonly control?: string
  /** Whether the database is taken from the client's view, so that backups come back by themselves. */
  readonly mayRecover?: boolean
  /** Whether the server keeps anchors of its audit log each second, by which it is found when that loses its end. */
  readonly anchored?: boolean
}

/** One vault on a database, its one user with the real SDK and its share store, and what was acknowledged to it. */
export class World {
  ledger = new Ledger()
  readonly folder: string
  readonly database: LabDatabase
  readonly adminToken = adminToken
  port = 0
  apiKey = ''
  userId = ''
  /** Backups that came back by themselves. */
  recovered = 0
  mayRecover: boolean
  #settings: Readonly<Record<string, string>>
  #server: RunningServer | undefined
  #store: FileShareStore | undefined
  #vertex: Vertex | undefined
  readonly #clients: Vertex[] = []
  #control: Control = { id: 0 }
  readonly #controlFile: string

  readonly #shares: string

  private constructor({
    folder,
    database,
    settings = {},
    shares = join(folder, 'shares'),
    control = join(folder, 'control.json'),
    mayRecover = false,
    anchored = false,
  }: WorldOptions) {
    this.folder = folder
    this.#shares = shares
    this.database = database
    this.mayRecover = mayRecover
    this.#controlFile = control
    this.#settings = anchored
      ? { ...settings, [ANCHOR_FILE]: join(folder, 'anchors'), VERTEX_AUDIT_ANCHOR_SECONDS: '1' }
      : settings
  }

  /** A vault that runs, with a user. */
  static async open(options: WorldOptions): Promise<World> {
    const world = new World(options)
    mkdirSync(world.folder, { recursive: true })
    world.port = await freePort()
    writeControl(world.#controlFile, world.#control)
    await world.start()
    const { api_key, user_id } = await world.admin((rest) => rest.createUser({ name: 'alice' }))
    world.apiKey = api_key
    world.userId = user_id
    await world.openStore()
    return world
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The settings that its server is started with. */
  get settings(): Readonly<Record<string, string>> {
    return {
      ...this.database.settings,
      VERTEX_ADMIN_TOKEN: adminToken,
      VERTEX_LOG_LEVEL: 'warn',
      ...ratesRaised,
      ...this.#settings,
    }
  }

  change(settings: Readonly<Record<string, string>>): void {
    this.#settings = { ...this.#settings, ...settings }
  }

  /** @returns the path */
  makeFolder(path: string): string {
    mkdirSync(path, { recursive: true })
    return path
  }

  /** Starts the server and waits until it is ready. @throws Error with its own words */
  async start(): Promise<void> {
    const server = await startServer({
      program,
      folder: this.folder,
      port: this.port,
      settings: {
        ...this.settings,
        NODE_OPTIONS: `--import=${hook}`,
        [CONTROL_VARIABLE]: this.#controlFile,
      },
      readyWithinMs: START_MS,
    })
    const orphaned = () => server.process.kill('SIGKILL')
    process.once('exit', orphaned)
    server.process.once('exit', () => process.off('exit', orphaned))
    this.#server = server
  }

  get server(): RunningServer {
    return this.#server!
  }

  get isRunning(): boolean {
    const child = this.#server?.process
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  async kill(): Promise<void> {
    await this.#server?.kill()
    await this.#listenTo()
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
    await this.#listenTo()
  }

  /** Whatever the server said that it does not say when all goes as documented. */
  get complaints(): string[] {
    const lines = this.#server?.output().split('\n') ?? []
    return lines.filter((line) => /internal problem|uncaught/i.test(line))
  }

  async #listenTo(): Promise<void> {
    // Its last words may still be in the pipe.
    const { stdout, stderr } = this.#server?.process ?? {}
    for (const stream of [stdout, stderr])
      if (stream != null && !stream.closed) await once(stream, 'close')
    for (const line of this.complaints.slice(0, 3))
      this.ledger.wrong(`the server said: ${line.slice(0, 600)}`)
    this.#server = undefined
  }

  /** Gives the hook in the server something to do; the count of statements begins anew. */
  async control(what: Omit<Control, 'id'>): Promise<void> {
    this.#control = { ...what, id: this.#control.id + 1 }
    writeControl(this.#controlFile, this.#control)
    // The hook looks every 20 ms, and before each statement.
    if (this.isRunning) await sleep(60)
  }

  /** What the server gave to its database since the last {@link control}. */
  statements(): string[] {
    const file = statementsFile(this.#controlFile)
    if (!existsSync(file)) return []
    const prefix = `${this.#control.id} `
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith(prefix))
      .map((line) => line.slice(prefix.length))
  }

  /** The client's store; a new client process would find it like this. */
  get store(): FileShareStore {
    return this.#store!
  }

  async openStore(): Promise<void> {
    this.#store = await FileShareStore.open({ directory: this.#shares, passphrase })
    this.#vertex = this.client(this.#store)
  }

  async closeStore(): Promise<void> {
    await this.#vertex?.close()
    await this.#store?.close()
    this.#store = undefined
  }

  /** The vault is at another port from now on, and so is its client. */
  async moveTo(port: number): Promise<void> {
    this.port = port
    await this.closeStore()
    await this.openStore()
  }

  get vertex(): Vertex {
    return this.#vertex!
  }

  /** Another client of this user. */
  client(store: ShareStore, url = this.url, apiKey = this.apiKey): Vertex {
    const vertex = new Vertex({ url, apiKey, store, allowHttpOnLoopback: true })
    vertex.on('recovered', ({ id }) => {
      this.recovered++
      if (!this.mayRecover)
        this.ledger.lost(`the share of key ${id} had gone and came back from its backup`)
    })
    vertex.on('rollback-detected', ({ id, reason }) => {
      if (!this.mayRollBack) this.ledger.wrong(`rollback-detected for key ${id}: ${reason}`)
    })
    this.#clients.push(vertex)
    return vertex
  }
  mayRollBack = false

  /** Calls as the operator. */
  async admin<T>(ask: (rest: Vertex['rest']) => Promise<T>): Promise<T> {
    const vertex = new Vertex({
      url: this.url,
      apiKey: adminToken,
      store: nowhere,
      allowHttpOnLoopback: true,
    })
    try {
      return await ask(vertex.rest)
    } finally {
      await vertex.close()
    }
  }

  /** Does something that may fail as documented. @returns undefined when it failed */
  async attempt<T>(
    what: string,
    work: () => Promise<T>,
    expected: readonly ErrType[] = [],
  ): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      const found = complaint(error, expected)
      if (found !== undefined) this.ledger.wrong(`${what} failed with ${found}`)
      return undefined
    }
  }

  /** Does something that must succeed, once what is down is up again. */
  async insist<T>(what: string, work: () => Promise<T>): Promise<T> {
    const giveUp = Date.now() + PATIENCE_MS
    for (;;) {
      try {
        return await work()
      } catch (error) {
        const passes = complaint(error, ['backup_key_unavailable']) === undefined
        if (!passes || Date.now() > giveUp) {
          const said = this.complaints.at(-1)
          if (error instanceof VertexError && said === undefined) throw error
          throw new Error(`${what}: ${described(error)}; the server said: ${said ?? 'nothing'}`)
        }
      }
      await sleep(50)
    }
  }

  /** Makes a key, which is promised from then on. */
  async createKey(vertex = this.vertex): Promise<EcdsaKey> {
    const key = await vertex.ecdsa.createKey()
    this.promiseKey(key)
    return key
  }

  promiseKey({ id, publicKey }: { readonly id: string; readonly publicKey: Uint8Array }): void {
    this.ledger.promise(`key ${id}`, async () => {
      await this.signs(await this.vertex.ecdsa.openKey(id), publicKey)
    })
  }

  /** Signs; a signature that does not verify is wrong. */
  async sign(key: EcdsaKey): Promise<void> {
    await this.signs(key, key.publicKey)
    this.ledger.acknowledged()
  }

  async signs(key: EcdsaKey, publicKey: Uint8Array): Promise<void> {
    const message = new TextEncoder().encode(`laboratory ${key.id} ${Math.random()}`)
    const { der } = await this.insist('sign', () => key.sign({ message, hashAlgo: 'sha256' }))
    this.judge(publicKey, message, der)
  }

  judge(publicKey: Uint8Array, message: Uint8Array, der: Uint8Array): void {
    if (!verifiesWithOpenssl(publicKey, message, der))
      this.ledger.wrong(`a signature that OpenSSL refuses: ${Buffer.from(der).toString('hex')}`)
  }

  /** A user of its own is made, and its API key works from then on. */
  async createUser(name: string): Promise<void> {
    const { api_key } = await this.typed(() => this.admin((rest) => rest.createUser({ name })))
    this.ledger.promise(`user ${name}`, async () => {
      const vertex = this.client(nowhere, this.url, api_key)
      await this.insist('list keys', () => this.typed(() => vertex.rest.listKeys()))
    })
  }

  /** A call of the plain API, with the errors of the rest of the SDK. */
  async typed<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof Response)) throw error
      const body = (await error.json()) as { err_type: ErrType; err_msg: string }
      const retryAfter = Number(error.headers.get('retry-after') ?? 'none')
      const typed = new VertexError(body.err_type, body.err_msg, { status: error.status })
      throw Number.isNaN(retryAfter) ? typed : Object.assign(typed, { retryAfter })
    }
  }

  /** After a fault: how long until the first signature, and whether everything acknowledged is there. */
  async recovers(since: number, probe: EcdsaKey): Promise<void> {
    await this.signs(probe, probe.publicKey)
    this.ledger.found.recoveryMs.push(Math.round(performance.now() - since))
    this.ledger.acknowledged()
  }

  /** Whether the database and its audit log are in order. */
  async inspect(): Promise<void> {
    const damage = this.database.damage()
    if (damage !== undefined) this.ledger.wrong(`the database is damaged: ${damage}`)
    const problem = await auditProblem(this)
    if (problem !== undefined) this.ledger.wrong(`the audit log is not in order: ${problem}`)
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close()
    await this.#store?.close().catch(() => undefined)
    await this.#server?.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** For clients that keep nothing. */
const nowhere: ShareStore = {
  get: () => Promise.resolve(undefined),
  put: () => Promise.reject(new Lost('nothing is kept here')),
  list: () => Promise.resolve([]),
  delete: () => Promise.resolve(),
}

/**
 * The same store seen anew, as another process would: what the SDK remembers of it in memory is forgotten.
 * @param change what is read differs by this
 */
export function seenAnew(
  store: ShareStore,
  change: (kind: string, item: StoredItem) => StoredItem = (_, item) => item,
): ShareStore {
  return {
    get: async (kind, id) => {
      const item = await store.get(kind, id)
      return item && change(kind, item)
    },
    put: (kind, id, value, expected) => store.put(kind, id, value, expected),
    list: (kind) => store.list(kind),
    delete: (kind, id) => store.delete(kind, id),
  }
}
