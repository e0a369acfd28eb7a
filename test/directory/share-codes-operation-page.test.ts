import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { defaultShareConfig, shareOptions } from '../../src/share-config.js'
import { buildOnce, freePort } from '../support/server.js'

vi.setConfig({ testTimeout: 180_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/share-codes-operation.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-share-page-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const block = (name: string) => {
  const found = new RegExp(`<!-- ${name} -->\\n+\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)
  expect(found, name).not.toBeNull()
  return found![1]!
}
/** What a block says that it prints. */
const told = (name: string) =>
  [...block(name).matchAll(/^# → (.*)$/gm)].map(([, line]) => line!).join('\n')

it('has commands that work when pasted, and print what it says', async () => {
  await buildOnce()
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const ports = [await freePort(), await freePort(), await freePort()].map(String)
  const names = ['pasted: name', 'pasted: run', 'pasted: look']
  const pair = ['pasted: pair', 'pasted: paired', 'pasted: resync']
  const here = (text: string) =>
    text
      .replaceAll('8089', '@0')
      .replaceAll('1@0', ports[1]!)
      .replaceAll('18090', ports[2]!)
      .replaceAll('@0', ports[0]!)
  // One shell for all of it, as a person would have; the ports are others, since somebody may have these.
  const script = [
    // What is left running says nothing here, and is gone in the end.
    `vertex() { case " $* " in *" run "*) exec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@" >> log 2>&1;; esac
       '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"; }`,
    "trap 'kill $(jobs -p)' EXIT",
    ...[...names, ...pair].flatMap((name) => [`echo '== ${name}'`, here(block(name))]),
  ]
  const said = execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '' },
  })
  const parts = new Map(
    said
      .split(/^== /m)
      .slice(1)
      .map((part) => {
        const [name, ...lines] = part.trimEnd().split('\n')
        return [name!, lines.join('\n')]
      }),
  )
  for (const name of [...names, ...pair]) expect(parts.get(name), name).toBe(told(name))
  expect(readFileSync(join(folder, 'log'), 'utf8')).toContain('"event":"listening"')
})

it('has every setting in its table, with its default', () => {
  const rows = [
    ...page.matchAll(/^\| (?:`(--[a-z-]+)`)? *\| (?:`([a-z_]+)`)? *\| (.*?) *\|/gm),
  ].map(([, flag, key, value]) => ({ flag, key, value: value!.replaceAll('`', '') }))
  const listed = rows.map(({ flag, key }) => `${flag ?? ''} ${key ?? ''}`)
  for (const { flag, key } of shareOptions) expect(listed).toContain(`${flag ?? ''} ${key}`)
  expect(listed).toHaveLength(shareOptions.length + 2)
  const defaultOf = (key: string) => rows.find((row) => row.key === key)!.value
  const { benchmark, ...is } = defaultShareConfig
  expect(defaultOf('bind_addr')).toBe(is.bind)
  expect(defaultOf('state_dir')).toBe(is.stateDir)
  for (const [key, value] of Object.entries({
    server_id: is.serverId,
    topology_version: is.topologyVersion,
    topology_stale_after_ms: is.staleAfterMs,
    topology_heartbeat_interval_ms: is.heartbeatMs,
    rate_limit_per_minute: is.ratePerMinute,
    rate_limit_burst: is.rateBurst,
    verification_email_rate_limit_per_hour: is.verificationPerHour,
    verification_email_ip_rate_limit_per_hour: is.verificationIpPerHour,
    default_ttl_seconds: is.defaultTtlSeconds,
    max_ttl_seconds: is.maxTtlSeconds,
    max_payload_bytes: is.maxPayloadBytes,
    max_fetches_per_share: is.maxFetches,
    requests: benchmark.requests,
    payload_bytes: benchmark.payloadBytes,
    concurrency: benchmark.concurrency,
    preload_shares: benchmark.preload,
  }))
    expect(defaultOf(key), key).toBe(String(value))
})
