import { utf8ToBytes } from '@noble/hashes/utils.js'
import { Reader, ShareFault, Writer } from './bytes.js'
import { MOST_SERVERS } from './code.js'

// Which servers there are, and which of them to ask. docs/spec/share-replication.md, sections 1 and 2.

/** What a server is there for; its place in this list, from 1, is what stands for it on the wire. */
export const serverStatuses = ['active', 'standby', 'promoted', 'disabled'] as const
export type ServerStatus = (typeof serverStatuses)[number]

export interface TopologyServer {
  /** 0 to 35. */
  readonly id: number
  readonly url: string
  readonly status: ServerStatus
  /** When it last reported, in milliseconds since 1970; of one that an operator named, nothing. */
  readonly lastSeen?: number | undefined
}

/** Where the shares are that one server has given codes for. */
export interface TopologyRoute {
  readonly owner: number
  readonly primary: number
  readonly failovers: readonly number[]
}

export interface Topology {
  readonly cluster: string
  readonly version: bigint
  readonly servers: readonly TopologyServer[]
  readonly routes: readonly TopologyRoute[]
}

const MAGIC = 'LBST'
const VERSION = 2

/** 1.1 */
export function encodeTopology({ cluster, version, servers, routes }: Topology): Uint8Array {
  const out = new Writer().raw(utf8ToBytes(MAGIC)).u16(VERSION).text(cluster).u64(version)
  out.u16(servers.length)
  for (const { id, status, lastSeen, url } of servers) {
    out.u8(id).u8(numberOf(status))
    if (lastSeen === undefined) out.u8(0)
    else out.u8(1).u64(lastSeen)
    out.text(url)
  }
  out.u16(routes.length)
  for (const { owner, primary, failovers } of routes) {
    out.u8(owner).u8(primary).u16(failovers.length)
    for (const id of failovers) out.u8(id)
  }
  return out.done()
}

/** 1.1 to 1.3 @throws ShareFault */
export function decodeTopology(bytes: Uint8Array): Topology {
  const reader = new Reader(bytes)
  opened(reader, MAGIC, VERSION)
  const [cluster, version] = [reader.text(), reader.u64()]
  const servers = times(reader.u16(), (): TopologyServer => {
    const [id, status] = [serverId(reader.u8()), statusOf(reader.u8())]
    const lastSeen = reader.u8() === 0 ? undefined : reader.wide()
    return { id, status, lastSeen, url: reader.text() }
  })
  const routes = times(reader.u16(), (): TopologyRoute => {
    const [owner, primary] = [serverId(reader.u8()), serverId(reader.u8())]
    return { owner, primary, failovers: times(reader.u16(), () => serverId(reader.u8())) }
  })
  if (!reader.isDone) throw new ShareFault('TrailingBytes')
  const topology = { cluster, version, servers, routes }
  if (problemOf(topology) !== undefined) throw new ShareFault('InvalidField')
  return topology
}

/** What is wrong with a topology, in words for its operator. 1.3 */
export function problemOf({ cluster, servers, routes }: Topology): string | undefined {
  if (cluster === '') return 'the topology has no cluster id'
  if (servers.length === 0) return 'the topology has no server'
  const ids = new Set(servers.map(({ id }) => id))
  if (ids.size < servers.length) return 'the topology has a server twice'
  const nameless = servers.find(({ url }) => url === '')
  if (nameless !== undefined) return `server ${nameless.id} of the topology has no URL`
  for (const { owner, primary, failovers } of routes) {
    const unknown = [primary, ...failovers].find((id) => !ids.has(id))
    if (unknown !== undefined)
      return `the route of owner ${owner} names server ${unknown}, which is not in the topology`
  }
  return undefined
}

const takesPart = ({ status }: TopologyServer) => status !== 'disabled'

/** Every server is its own primary, and the next one its failover. 1.4 */
export function ringRoutes(servers: readonly TopologyServer[]): TopologyRoute[] {
  const ids = [...new Set(servers.filter(takesPart).map(({ id }) => id))].sort((a, b) => a - b)
  return ids.map((id, i) => ({ owner: id, primary: id, failovers: [ids[(i + 1) % ids.length]!] }))
}

/** Without the servers that are disabled or have not reported for too long, and without routes to them. 1.5 */
export function withoutStale(topology: Topology, now: number, staleAfterMs: number): Topology {
  if (staleAfterMs === 0) return topology
  const servers = topology.servers.filter(
    (server) =>
      takesPart(server) && (server.lastSeen === undefined || now - server.lastSeen <= staleAfterMs),
  )
  const ids = new Set(servers.map(({ id }) => id))
  const routes = topology.routes.filter(({ owner, primary, failovers }) =>
    [owner, primary, ...failovers].every((id) => ids.has(id)),
  )
  return { ...topology, servers, routes: routes.length > 0 ? routes : ringRoutes(servers) }
}

/** A server tells another one that it is there. */
export interface Registration {
  readonly cluster: string
  readonly id: number
  readonly url: string
  readonly status: ServerStatus
  readonly token: string
}

const REGISTRATION_MAGIC = 'LBTR'
const REGISTRATION_VERSION = 1

/** 2.1 */
export function encodeRegistration(registration: Registration): Uint8Array {
  const { cluster, id, url, status, token } = registration
  return new Writer()
    .raw(utf8ToBytes(REGISTRATION_MAGIC))
    .u16(REGISTRATION_VERSION)
    .text(cluster)
    .u64(id)
    .text(url)
    .u8(numberOf(status))
    .text(token)
    .done()
}

/** 2.1 @throws ShareFault */
export function decodeRegistration(bytes: Uint8Array): Registration {
  const reader = new Reader(bytes)
  opened(reader, REGISTRATION_MAGIC, REGISTRATION_VERSION)
  const [cluster, id, url] = [reader.text(), serverId(reader.wide()), reader.text()]
  const [status, token] = [statusOf(reader.u8()), reader.text()]
  if (!reader.isDone) throw new ShareFault('TrailingBytes')
  return { cluster, id, url, status, token }
}

/** Where a server takes registrations, by the URL of its shares. 2.2 */
export function registrationUrl(url: string): string {
  const [base = ''] = url.trim().split('/v1/')
  return `${base.replace(/\/+$/, '')}/v1/topology/register`
}

const numberOf = (status: ServerStatus): number => serverStatuses.indexOf(status) + 1

function statusOf(number: number): ServerStatus {
  const status = serverStatuses[number - 1]
  if (status === undefined) throw new ShareFault('InvalidField')
  return status
}

function serverId(id: number): number {
  if (id >= MOST_SERVERS) throw new ShareFault('InvalidField')
  return id
}

function opened(reader: Reader, magic: string, version: number): void {
  reader.magic(magic)
  if (reader.u16() !== version) throw new ShareFault('UnsupportedVersion')
}

const times = <T>(count: number, read: () => T): T[] => Array.from({ length: count }, read)
