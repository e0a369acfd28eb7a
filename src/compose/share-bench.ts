import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  decodeResponse,
  decodeShared,
  encodeFetchRequest,
  encodePayload,
  encodeShareRequest,
  statuses,
} from '@vertex/directory/share'
import type { Logger } from 'pino'
import { STATE_DIR, type ShareConfig } from '../share-config.js'
import { openUnsealed } from '../store/index.js'
import { jobsOf, serveAlone } from './alone.js'
import { directoryTables } from './directory.js'
import { shareDatabaseOf, shareParts, type ShareParts } from './share.js'

/** What is measured: the store by itself, or over HTTP, a connection for each request, as the original measures. */
export type ShareBench = 'bench-store' | 'bench-http' | 'bench-http-fetch' | 'bench-http-flow'

/** By the names that are printed. */
export type ShareBenchResult = Readonly<Record<string, number>>

/** A measurement went wrong; the message is for the operator. */
export class BenchFailed extends Error {
  override readonly name = 'BenchFailed'
}

/**
 * Measures a server that begins and ends with it, on the database of the settings, or on a new one that is deleted.
 * @throws BenchFailed, and what `isForOperator` and `isUnavailable` know
 */
export async function benchShares(
  what: ShareBench,
  config: ShareConfig,
  logger: Logger,
): Promise<ShareBenchResult> {
  const isNew = config.db === undefined && config.stateDir === STATE_DIR
  const stateDir = isNew ? mkdtempSync(join(tmpdir(), 'vertex-share-bench-')) : config.stateDir
  // Nobody is limited, or told.
  const own = { ...config, stateDir, ratePerMinute: 0, peerUrls: [], heartbeatMs: 0 }
  delete own.replicationToken
  const database = shareDatabaseOf(own)
  try {
    const store = await openUnsealed(database, directoryTables)
    const parts = shareParts(store, database, own, logger)
    const end = async () => {
      await parts.end()
      await store.close()
    }
    if (what === 'bench-store')
      try {
        return await benchStore(parts, own)
      } finally {
        await end()
      }
    const jobs = jobsOf(database, parts.jobs, logger)
    const place = { host: '127.0.0.1', port: 0 }
    const server = await serveAlone(place, { system: parts.system, jobs, end }, logger)
    try {
      return await benchHttp(what, parts, own, server.port)
    } finally {
      await server.stop()
    }
  } finally {
    if (isNew) rmSync(stateDir, { recursive: true, force: true })
  }
}

async function benchStore(parts: ShareParts, config: ShareConfig): Promise<ShareBenchResult> {
  const { requests } = config.benchmark
  const concurrency = concurrencyOf(config)
  await preload(parts, config)
  const codes: string[] = []
  const created = await timed(requests, concurrency, async () => {
    codes.push(await create(parts, config))
  })
  const live = await parts.shares.live()
  const fetched = await timed(requests, concurrency, async (i) => {
    if ((await parts.shares.take(codes[i]!)) === undefined) throw new BenchFailed('not found')
  })
  return {
    store_create_ops_per_second: created,
    store_fetch_ops_per_second: fetched,
    requests,
    concurrency,
    live,
  }
}

async function benchHttp(
  what: Exclude<ShareBench, 'bench-store'>,
  parts: ShareParts,
  config: ShareConfig,
  port: number,
): Promise<ShareBenchResult> {
  const { requests, preload: preloaded } = config.benchmark
  const concurrency = concurrencyOf(config)
  await preload(parts, config)
  const agent = new Agent({ keepAlive: false, maxSockets: concurrency })
  const ask = async (body: Uint8Array) => {
    const { status, body: answer } = decodeResponse(await posted(agent, port, body))
    if (status !== statuses.success) throw new BenchFailed(`a request was answered with ${status}`)
    return answer
  }
  const body = encodeShareRequest({ ttlSeconds: 0, maxFetches: 1, payload: payloadOf(config) })
  const live = async () => ({ live: await parts.shares.live() })
  if (what === 'bench-http') {
    const share = await timed(requests, concurrency, () => ask(body))
    return { http_single_request_share_rps: share, requests, concurrency, ...(await live()) }
  }
  if (what === 'bench-http-fetch') {
    const codes: string[] = []
    await timed(requests, concurrency, async () => codes.push(await create(parts, config)))
    const taken = await timed(requests, concurrency, (i) => ask(encodeFetchRequest(codes[i]!)))
    return { http_single_request_fetch_rps: taken, requests, concurrency, ...(await live()) }
  }
  const flows = await timed(requests, concurrency, async () => {
    const { code } = decodeShared(await ask(body))
    await ask(encodeFetchRequest(code))
  })
  return {
    http_single_request_flow_rps: flows,
    http_single_request_total_rps: flows * 2,
    flows: requests,
    concurrency,
    preloaded,
    ...(await live()),
  }
}

const concurrencyOf = ({ benchmark: { concurrency } }: ShareConfig) =>
  concurrency === 0 ? Math.min(128, Math.max(16, availableParallelism() * 16)) : concurrency

async function preload(parts: ShareParts, config: ShareConfig): Promise<void> {
  await timed(config.benchmark.preload, concurrencyOf(config), () => create(parts, config))
}

async function create({ shares }: ShareParts, config: ShareConfig): Promise<string> {
  const { code } = await shares.create({
    locator: { primary: config.serverId, secondary: config.serverId },
    payload: payloadOf(config),
    ttlMs: config.maxTtlSeconds * 1000,
    maxFetches: 1,
  })
  return code
}

/** What of a payload is not its key. */
const REST_BYTES = 180

/** A payload of about as many bytes as are asked for. */
function payloadOf({ benchmark: { payloadBytes } }: ShareConfig): Uint8Array {
  const keyBytes = Math.min(4096, Math.max(32, payloadBytes - REST_BYTES))
  return encodePayload({
    type: 'contact',
    identity: 'bench@example.com',
    publicKey: new Uint8Array(keyBytes).fill(42),
    signingKey: new Uint8Array(32).fill(43),
    fingerprint: new Uint8Array(16).fill(7),
    nonce: new Uint8Array(randomBytes(24)),
    createdAt: 1n,
    expiresAt: 2n,
  })
}

/** Does something so often, so many at a time. @returns how often in a second */
async function timed(
  times: number,
  concurrency: number,
  work: (i: number) => Promise<unknown>,
): Promise<number> {
  let next = 0
  const began = performance.now()
  const worker = async () => {
    while (next < times) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, times) }, worker))
  const seconds = (performance.now() - began) / 1000
  return times === 0 ? 0 : Math.round(times / Math.max(seconds, 1e-6))
}

/** A request on a connection of its own. */
function posted(agent: Agent, port: number, body: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = {
      'Content-Type': 'application/octet-stream',
      'Content-Length': body.length,
      Connection: 'close',
    }
    const asked = request(
      { agent, port, host: '127.0.0.1', path: '/v1/share', method: 'POST', headers },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('end', () => resolve(new Uint8Array(Buffer.concat(chunks))))
        response.once('error', reject)
      },
    )
    asked.once('error', reject)
    asked.end(body)
  })
}
