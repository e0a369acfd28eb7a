import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { ThreadPool } from '../../src/engine/pool.js'
import { Metrics } from '../../src/metrics/metrics.js'
import { makeKey, openRoom, signBoth, startVertex, type TestVertex } from '../http/vertex.js'
import { startThreads } from '../support/threads.js'

const docs = join(import.meta.dirname, '../../docs/operations')
const readDoc = (name: string) => readFileSync(join(docs, name), 'utf8')

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

let threads: ThreadPool
let pair: [TestVertex, TestVertex]
/** Of each Vertex, after a key was made and used. The first computes in threads, the second does not. */
let texts: string[]
let scraped: Sample[][]
/** What says who or what was asked for. */
let telling: string[]

const scrape = async ({ metricsUrl }: TestVertex) => (await fetch(metricsUrl!)).text()

function samplesOf(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!
      const pairs = [...(labels ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k, v])
      return { name: name!, labels: Object.fromEntries(pairs), value: Number(value) }
    })
}

function valueOf(samples: Sample[], name: string, labels: Record<string, string> = {}): number {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([k, v]) => sample.labels[k] === v),
  )
  expect(found, `${name} ${JSON.stringify(labels)}`).not.toEqual([])
  return found.reduce((sum, { value }) => sum + value, 0)
}

beforeAll(async () => {
  threads = await startThreads({ threads: 1 })
  const first = await startVertex({ VERTEX_METRICS_PORT: '0' }, threads)
  const relay = `127.0.0.1:${first.port}`
  pair = [first, await startVertex({ VERTEX_METRICS_PORT: '0', VERTEX_RELAY_ALLOW: relay })]
  const { parties, pubkey } = await makeKey(pair)
  const msg = randomBytes(32).toString('hex')
  for (const { status } of await signBoth(parties, { msg, hash_algo: 'sha256' }))
    expect(status).toBe(200)
  const [{ vertex, key, keyId }] = parties
  const exported = await vertex.call('GET', `/ecdsa/backup/export-key-share/${keyId}`, { key })
  expect(exported.status).toBe(200)
  const room = await openRoom(parties[0])
  await vertex.call('GET', `/no/such/route/${keyId}`, { key })
  await vertex.call('PUT', '/ecdsa/sign', { key })
  telling = [...parties.flatMap((p) => [p.key, p.keyId, p.keygenId]), pubkey, msg, room]
  texts = await Promise.all(pair.map(scrape))
  scraped = texts.map(samplesOf)
})
afterAll(async () => {
  await Promise.all(pair.map((vertex) => vertex.stop()))
  await threads.close()
})

describe('the metrics', () => {
  it('count what happened', () => {
    for (const samples of scraped) {
      for (const kind of ['keygen', 'sign'])
        expect(valueOf(samples, 'vertex_protocol_runs_total', { kind, outcome: 'ok' })).toBe(1)
      expect(valueOf(samples, 'vertex_signatures_total')).toBe(1)
      expect(valueOf(samples, 'vertex_ot_setups_total', { what: 'made' })).toBe(1)
      expect(valueOf(samples, 'vertex_ot_setups_total', { what: 'retired' })).toBe(0)
      expect(valueOf(samples, 'vertex_events_total', { event: 'key_generated' })).toBe(1)
      expect(valueOf(samples, 'vertex_events_total', { event: 'key_locked' })).toBe(0)
      expect(valueOf(samples, 'vertex_runs_running')).toBe(0)
      expect(valueOf(samples, 'vertex_runs_waiting')).toBe(0)
      expect(valueOf(samples, 'vertex_runs_capacity')).toBeGreaterThanOrEqual(128)
      const age = valueOf(samples, 'vertex_backup_secret_age_seconds')
      expect(age).toBeGreaterThanOrEqual(0)
      expect(age).toBeLessThan(120)
    }
    const [first, second] = scraped as [Sample[], Sample[]]
    expect(valueOf(first, 'vertex_relay_rooms')).toBe(1)
    expect(valueOf(first, 'vertex_backups', { state: 'exported' })).toBe(1)
    expect(valueOf(first, 'vertex_backups', { state: 'none' })).toBe(0)
    expect(valueOf(first, 'vertex_backup_secret_keys', { newest: 'true' })).toBe(1)
    expect(second.filter(({ name }) => name === 'vertex_backup_secret_keys')).toEqual([])
    expect(valueOf(second, 'vertex_backups', { state: 'none' })).toBe(1)
    const signed = { route: '/ecdsa/sign', method: 'POST', status: '200' }
    expect(valueOf(first, 'vertex_http_requests_total', signed)).toBe(1)
    const none = { route: 'none', method: 'other', status: '404' }
    expect(valueOf(first, 'vertex_http_requests_total', none)).toBe(2)
  })

  it('time each round, in threads and without', () => {
    for (const samples of scraped)
      for (const [protocol, rounds] of [
        ['keygen', 5],
        ['setup', 2],
        ['sign', 2],
      ] as const) {
        const name = 'vertex_protocol_round_duration_seconds'
        const counts = samples.filter((s) => s.name === `${name}_count`)
        const of = counts.filter(({ labels }) => labels['protocol'] === protocol)
        expect(of.length, protocol).toBeGreaterThanOrEqual(rounds)
        for (const { value } of of) expect(value).toBe(1)
        const sum = valueOf(samples, `${name}_sum`, { protocol })
        expect(sum).toBeGreaterThan(0)
        expect(sum).toBeLessThan(60)
      }
  })

  it('count runs that fail by what was answered', async () => {
    const [first] = pair
    const { key } = await first.user()
    const make = async () => (await first.call('GET', '/ecdsa/create', { key })).body
    const [mine, other] = [await make(), await make()]
    const room_uuid = await openRoom({ vertex: first, key })
    const body = {
      key_id: mine.key_id,
      room_uuid,
      num_parties: 3,
      threshold: 2,
      others_keygen_ids: [other.keygen_id, (await make()).keygen_id],
    }
    const { body: answer } = await first.call('POST', '/ecdsa/keygen', { key, body })
    expect(answer.err_type).toBe('session_mismatch')
    const samples = samplesOf(await scrape(first))
    const failed = { kind: 'keygen', outcome: answer.err_type }
    expect(valueOf(samples, 'vertex_protocol_runs_total', failed)).toBe(1)
    expect(valueOf(samples, 'vertex_protocol_run_duration_seconds_count', { kind: 'keygen' })).toBe(
      1,
    )
  })

  it('name no user, key, room or address', () => {
    for (const text of texts) {
      for (const word of telling) expect(text).not.toContain(word)
      expect(text).not.toContain('127.0.0.1')
    }
    const allowed = ['method', 'route', 'status', 'kind', 'outcome', 'protocol', 'round', 'what']
    allowed.push('event', 'state', 'version', 'fingerprint', 'newest', 'le')
    const ours = scraped.flat().filter(({ name }) => name.startsWith('vertex_'))
    const labels = new Set(ours.flatMap((sample) => Object.keys(sample.labels)))
    expect([...labels].filter((label) => !allowed.includes(label))).toEqual([])
  })

  it('are on a port of their own, with nothing else', async () => {
    const [{ metricsUrl, url }] = pair
    expect((await fetch(metricsUrl!)).headers.get('content-type')).toContain('text/plain')
    expect((await fetch(metricsUrl!, { method: 'POST' })).status).toBe(405)
    expect((await fetch(metricsUrl!.replace('/metrics', '/livez'))).status).toBe(404)
    expect((await fetch(`${url}/metrics`)).status).toBe(404)
  })

  it('are off unless they are asked for', async () => {
    const vertex = await startVertex()
    expect(vertex.metricsUrl).toBeUndefined()
    await vertex.stop()
  })
})

describe('what the operator is given', () => {
  /** All series of one name, without the endings of a histogram. */
  const existing = () => {
    const names = texts.flatMap((text) =>
      [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, kind]) => ({ name: name!, kind })),
    )
    const all = new Set<string>()
    for (const { name, kind } of names)
      if (kind === 'histogram')
        for (const end of ['bucket', 'sum', 'count']) all.add(`${name}_${end}`)
      else all.add(name)
    return all
  }
  const used = (expression: string) =>
    [...expression.matchAll(/\b(?:vertex|process|nodejs)_\w+/g)].map(([name]) => name)
  const labelsIn = (expression: string) =>
    [...expression.matchAll(/(\w+)(?:=|!=|=~|!~)"([^"]*)"/g)].map(([, k, v]) => [k!, v!] as const)

  it('names metrics that exist: in the alerts', () => {
    const { groups } = parse(readDoc('alerts.yaml'))
    const rules = groups.flatMap(({ rules }: { rules: unknown[] }) => rules)
    expect(rules.length).toBeGreaterThan(10)
    const page = readDoc('metrics.md')
    for (const { alert, expr, labels, annotations } of rules) {
      const names = used(expr)
      expect(names.length, alert).toBeGreaterThan(0)
      for (const name of names) expect(existing(), alert).toContain(name)
      for (const [label, value] of labelsIn(expr))
        if (['event', 'what', 'state', 'kind'].includes(label))
          expect(texts[0], alert).toContain(`${label}="${value}"`)
      expect(['warning', 'critical']).toContain(labels.severity)
      expect(annotations.summary).toMatch(/^\w/)
      expect(page, 'what to do about it').toContain(`**${alert}**`)
    }
  })

  it('has from the start what an alert sees the increase of, since the first of a series is no increase', async () => {
    const { groups } = parse(readDoc('alerts.yaml'))
    const rules: { alert: string; expr: string }[] = groups.flatMap(
      ({ rules }: { rules: unknown[] }) => rules,
    )
    const watched = rules.flatMap(({ alert, expr }) =>
      [...expr.matchAll(/increase\((\w+)(\{[^}]*\})?\[/g)].map(([, name, labels]) => ({
        alert,
        series: `${name}${labels ?? ''} 0`,
      })),
    )
    expect(watched.length).toBeGreaterThan(5)
    const atStart = (await new Metrics('0.0.0').text()).split('\n')
    for (const { alert, series } of watched) expect(atStart, alert).toContain(series)
  })

  it('counts the faults of the server', async () => {
    const metrics = new Metrics('0.0.0')
    for (const status of [200, 400, 500, 503])
      metrics.request({ method: 'GET', route: '/ecdsa/keys', status, seconds: 0.1 })
    expect(await metrics.text()).toContain('\nvertex_internal_problems_total 1\n')
  })

  it('names metrics that exist: on the dashboard', () => {
    const { panels } = JSON.parse(readDoc('dashboard.json'))
    expect(panels.length).toBeGreaterThan(10)
    for (const { title, targets } of panels)
      for (const { expr } of targets) {
        const names = used(expr)
        expect(names.length, title).toBeGreaterThan(0)
        for (const name of names) expect(existing(), title).toContain(name)
      }
  })

  it('lists all of ours, and no others', () => {
    const ours = [...texts[0]!.matchAll(/^# TYPE (vertex_\w+) (\w+)$/gm)].map(
      ([, name, kind]) => `${name} ${kind}`,
    )
    const listed = [...readDoc('metrics.md').matchAll(/^\| `(vertex_\w+)` +\| (\w+)/gm)].map(
      ([, name, kind]) => `${name} ${kind}`,
    )
    expect(listed.sort()).toEqual(ours.sort())
  })
})
