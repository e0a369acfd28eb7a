import { createHash, timingSafeEqual } from 'node:crypto'
import {
  decodeRegistration,
  decodeTopology,
  encodeRegistration,
  encodeTopology,
  locatorOf,
  registrationUrl,
  ringRoutes,
  serverStatuses,
  ShareFault,
  withoutStale,
  type Locator,
  type Registration,
  type ServerStatus,
  type Topology,
  type TopologyServer,
} from '@vertex/directory/share'
import type { UnitStore } from '../../store/index.js'
import type { Post } from './replication/outbox.js'
import { SERVERS } from './replication/tables.js'

export interface TopologySettings {
  readonly serverId: number
  /** As the operator says it. */
  readonly configured: Topology
  /** Whether the operator left the routes to the servers. */
  readonly makesRoutes: boolean
  /** 0: nobody is. */
  readonly staleAfterMs: number
  /** Without one nobody may report, and this server reports to nobody. */
  readonly token?: string | undefined
  readonly promotedOwners: readonly number[]
  /** Whether codes of other servers are refused. */
  readonly strict: boolean
}

/** A report that is not taken; the message is what its sender is told. docs/spec/share-replication.md, 2.3 */
export class RegistrationRefused extends Error {
  override readonly name = 'RegistrationRefused'
}

/** For so long an answer may have a topology behind it that has changed meanwhile. */
const FRESH_MS = 1_000
const LONGEST_URL = 2_048

interface Seen {
  readonly topology: Topology
  readonly bytes: Uint8Array
  readonly locator: Locator
  readonly until: number
}

/**
 * Which servers there are: as the operator says, and as they report. On one database it is one topology. Answers do not
 * wait for it: they take the one that was seen last.
 */
export class ShareTopology {
  #seen: Seen
  #looking: Promise<void> | undefined

  constructor(
    private readonly store: UnitStore,
    private readonly settings: TopologySettings,
    private readonly now: () => number,
  ) {
    this.#seen = this.#see([], 0)
  }

  /** What stands behind answers, and is one. 1.1 */
  readonly topology = (): Uint8Array => {
    this.#lookSoon()
    return this.#seen.bytes
  }

  /** Whom new codes name: who has the share first, and who may be asked when that one is away. */
  readonly locator = (): Locator => {
    this.#lookSoon()
    return this.#seen.locator
  }

  /** Whether this server answers for a code. */
  readonly serves = (code: string): boolean => {
    const locator = locatorOf(code)
    if (locator === undefined) return false
    const { strict, serverId, promotedOwners } = this.settings
    const { primary, secondary } = locator
    return (
      !strict || primary === serverId || secondary === serverId || promotedOwners.includes(primary)
    )
  }

  /** 2.3, 2.4 @throws RegistrationRefused, StorageUnavailable */
  async register(body: Uint8Array): Promise<Uint8Array> {
    const { id, url, status } = this.#admitted(body)
    await this.#keep({ id, url, status }, this.now())
    await this.look()
    return this.#seen.bytes
  }

  /** Tells every other server that this one is there, and learns from their answers whom else there is. 2.5 */
  async report(post: Post): Promise<void> {
    const { serverId, token } = this.settings
    await this.look()
    const { cluster, servers } = this.#seen.topology
    const self = servers.find(({ id }) => id === serverId)
    if (token === undefined || self === undefined) return
    const registration = { cluster, id: serverId, url: self.url, status: self.status, token }
    const body = encodeRegistration(registration)
    const others = servers.filter(({ id }) => id !== serverId)
    // One that does not answer becomes stale, and that is all.
    await Promise.allSettled(
      others.map(async ({ url }) => this.#learn(await post(registrationUrl(url), body))),
    )
  }

  /** @throws RegistrationRefused */
  #admitted(body: Uint8Array): Registration {
    const { configured, token, serverId } = this.settings
    const registration = readRegistration(body)
    if (registration.cluster !== configured.cluster)
      throw new RegistrationRefused('topology cluster id mismatch')
    if (registration.url === '' || registration.token === '')
      throw new RegistrationRefused('topology registration missing required fields')
    if (token === undefined || !sameText(token, registration.token))
      throw new RegistrationRefused('topology registration token invalid')
    if (!isWebUrl(registration.url))
      throw new RegistrationRefused('topology registration url invalid')
    if (registration.id === serverId)
      throw new RegistrationRefused(`server id ${serverId} is taken`)
    return registration
  }

  /** What another server says of servers that it knows of. */
  async #learn(answer: Uint8Array): Promise<void> {
    const { cluster, servers } = decodeTopology(answer)
    const { configured, serverId } = this.settings
    if (cluster !== configured.cluster) return
    for (const server of servers)
      if (server.id !== serverId && server.lastSeen !== undefined && isWebUrl(server.url))
        await this.#keep(server, Math.min(server.lastSeen, this.now()))
    await this.look()
  }

  /** The later report counts. */
  async #keep({ id, url, status }: TopologyServer, seen: number): Promise<void> {
    await this.store.change(
      `INSERT INTO ${SERVERS} (id, url, status, last_seen, reports) VALUES ($1, $2, $3, $4, 1)
       ON CONFLICT (id) DO UPDATE SET url = excluded.url, status = excluded.status,
         last_seen = excluded.last_seen, reports = ${SERVERS}.reports + 1
       WHERE ${SERVERS}.last_seen <= excluded.last_seen RETURNING id`,
      [id, url, status, seen],
    )
  }

  /** As it is in the database now. @throws StorageUnavailable */
  async look(): Promise<void> {
    const rows = await this.store.select(
      `SELECT id, url, status, last_seen, reports FROM ${SERVERS} WHERE id <> $1 ORDER BY id`,
      [this.settings.serverId],
    )
    const reported = rows.map((row): TopologyServer => ({
      id: Number(row['id']),
      url: String(row['url']),
      status: statusOf(String(row['status'])),
      lastSeen: Number(row['last_seen']),
    }))
    const reports = rows.reduce((sum, row) => sum + Number(row['reports']), 0)
    this.#seen = this.#see(reported, reports)
  }

  #lookSoon(): void {
    if (this.now() < this.#seen.until) return
    // Without the database there is the one that was seen last.
    this.#looking ??= this.look()
      .catch(() => undefined)
      .finally(() => (this.#looking = undefined))
  }

  /** 1.4 to 1.6 */
  #see(reported: readonly TopologyServer[], reports: number): Seen {
    const { configured, makesRoutes, staleAfterMs, serverId } = this.settings
    const silent = configured.servers.filter(({ id }) => reported.every((each) => each.id !== id))
    const servers = [...silent, ...reported].sort((a, b) => a.id - b.id)
    const version = configured.version + BigInt(reports)
    const now = this.now()
    const present = withoutStale({ ...configured, version, servers }, now, staleAfterMs)
    const routes = makesRoutes ? ringRoutes(present.servers) : present.routes
    const topology = { ...present, routes }
    const route = routes.find(({ owner }) => owner === serverId)
    const primary = route?.primary ?? serverId
    const other = present.servers.find(({ id, status }) => id !== serverId && status !== 'disabled')
    const locator = { primary, secondary: route?.failovers[0] ?? other?.id ?? primary }
    return { topology, bytes: encodeTopology(topology), locator, until: now + FRESH_MS }
  }
}

/** @throws RegistrationRefused */
function readRegistration(body: Uint8Array): Registration {
  try {
    return decodeRegistration(body)
  } catch (error) {
    if (error instanceof ShareFault) throw new RegistrationRefused(error.message)
    throw error
  }
}

/** In a time that does not depend on either: of both there is a hash of one length. */
function sameText(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(a), hash(b))
}

/** Without anything that a database, or a reader, could stumble over. */
const isWebUrl = (text: string) =>
  text.length <= LONGEST_URL && /^https?:\/\/[!-~]+$/i.test(text) && URL.canParse(text)

const statusOf = (text: string): ServerStatus =>
  serverStatuses.find((each) => each === text) ?? 'disabled'
