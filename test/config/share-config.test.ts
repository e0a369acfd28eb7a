import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  defaultShareConfig,
  publicUrlOf,
  readShareArguments,
  readShareFile,
  ShareConfigError,
  shareOptions,
  topologyOf,
} from '../../src/share-config.js'

const files: Record<string, string> = {}
const readFile = (path: string) => {
  if (files[path] === undefined) throw new ShareConfigError(`${path} cannot be read`)
  return files[path]
}
const read = (...words: string[]) => readShareArguments(words, readFile).settings
const file = (text: string) => {
  files['a.toml'] = text
  return readShareFile('a.toml', readFile)
}
const problem = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ShareConfigError) return error.message
    throw error
  }
  return 'none'
}

describe('the settings of a server of share codes', () => {
  it('are the documented ones when nothing is said', () => {
    expect(read()).toEqual(defaultShareConfig)
    expect(defaultShareConfig).toMatchObject({
      bind: '127.0.0.1:8089',
      stateDir: '/var/lib/lockbox-key-server',
      developer: false,
      serverId: 0,
      cluster: 'default',
      topologyVersion: 1n,
      staleAfterMs: 90_000,
      heartbeatMs: 30_000,
      ratePerMinute: 120,
      rateBurst: 40,
      verificationPerHour: 5,
      verificationIpPerHour: 30,
      defaultTtlSeconds: 900,
      maxTtlSeconds: 900,
      maxPayloadBytes: 8192,
      maxFetches: 8,
      benchmark: { requests: 50_000, payloadBytes: 512, concurrency: 0, preload: 0 },
    })
    expect(publicUrlOf(read())).toBe('http://127.0.0.1:8089/v1/share')
    expect(publicUrlOf(read('--bind', '0.0.0.0:9000'))).toBe('http://127.0.0.1:9000/v1/share')
  })

  it('have every switch of the original, and some of their own', () => {
    const help = readFileSync(resolve(import.meta.dirname, 'share-options.txt'), 'utf8')
    const original = help.trim().split('\n')
    const flags = shareOptions.flatMap(({ flag }) => (flag === undefined ? [] : [flag]))
    // --config and --peer-url are the command's.
    expect(original.filter((flag) => !flags.includes(flag))).toEqual(['--config', '--peer-url'])
    expect(flags.filter((flag) => !original.includes(flag))).toEqual([
      '--db',
      '--strict-locator',
      '--trusted-proxies',
    ])
  })

  it('are read from switches', () => {
    const settings = read(
      ...['--server-id', 'z', '--cluster-id', 'prod', '--topology-version', '7', '--developer'],
      ...['--topology-server', '0=https://a.example/v1/share'],
      ...['--topology-server', 'z=https://z.example/v1/share,standby'],
      ...['--route', '0=0,z', '--route', '35=z,0', '--promoted-owner', '0'],
      ...['--replication-token', 't', '--replication-peer-url', 'https://a.example/v1/replicate'],
      ...['--origin-epoch', '18446744073709551615', '--strict-locator', 'no'],
      ...['--public-url', 'https://z.example/v1/share'],
    )
    expect(settings).toMatchObject({
      serverId: 35,
      developer: true,
      promotedOwners: [0],
      originEpoch: (1n << 64n) - 1n,
      strictLocator: false,
      peerUrls: ['https://a.example/v1/replicate'],
    })
    expect(topologyOf(settings)).toEqual({
      cluster: 'prod',
      version: 7n,
      servers: [
        { id: 0, url: 'https://a.example/v1/share', status: 'active' },
        { id: 35, url: 'https://z.example/v1/share', status: 'standby' },
      ],
      routes: [
        { owner: 0, primary: 0, failovers: [35] },
        { owner: 35, primary: 35, failovers: [0] },
      ],
    })
  })

  it('are read from a file, with comments, and quotes where there are some', () => {
    const settings = file(
      [
        '# a server',
        '',
        'bind_addr = "0.0.0.0:8089"   # everywhere',
        '  state_dir=/tmp/x',
        'replication_token = "with # and = in it"',
        'verification_email_command = ""',
        'topology_server = "0=https://a.example/v1/share,active"',
        'topology_server = "1=https://b.example/v1/share,standby"',
        'route = 0=0,1',
        'developer_mode = false',
        'max_ttl_seconds = 7776000',
        'shard_count = 16',
        'smtp_url = "smtps://user:pw@mail.example"\r',
        'smtp_from = keys@example.com',
      ].join('\n'),
    )
    expect(settings).toMatchObject({
      bind: '0.0.0.0:8089',
      stateDir: '/tmp/x',
      replicationToken: 'with # and = in it',
      maxTtlSeconds: 7_776_000,
      routes: [{ owner: 0, primary: 0, failovers: [1] }],
      smtp: { url: 'smtps://user:pw@mail.example', from: 'keys@example.com' },
    })
    expect(settings.topologyServers).toHaveLength(2)
    expect(settings.verificationCommand).toBeUndefined()
  })

  it('are those that come later', () => {
    files['a.toml'] = 'server_id = 1\ncluster_id = a'
    files['b.toml'] = 'cluster_id = b'
    const settings = read('--config', 'a.toml', '--server-id', '2', '--config', 'b.toml')
    expect([settings.serverId, settings.cluster]).toEqual([2, 'b'])
    expect(read('--server-id', '2', '--config', 'a.toml').serverId).toBe(1)
  })

  it.each([
    [['--nope'], 'unknown option `--nope`'],
    [['run'], 'unknown option `run`'],
    [['--peer-url', 'https://a'], 'unknown option `--peer-url`'],
    [['--bind'], 'missing value for --bind'],
    [['--config'], 'missing value for --config'],
    [
      ['--topology-heartbeat-interval-ms', '2147483648'],
      '--topology-heartbeat-interval-ms: must be a whole number up to 2147483647',
    ],
    ...['https://a/v1/share?b', 'https://a/v1/share#b'].map((url): [string[], string] => [
      ['--public-url', url],
      '--public-url: must be a URL without ? and #',
    ]),
    [['--server-id', '36'], '--server-id: server id must be 0..35 (0..9, a..z)'],
    [['--server-id', 'Z'], '--server-id: server id must be 0..35 (0..9, a..z)'],
    [
      ['--topology-server', 'https://a'],
      '--topology-server: topology server must be ID=URL[,STATUS]',
    ],
    [['--topology-server', '0=https://a,gone'], '--topology-server: unknown server status `gone`'],
    [['--topology-server', '0=a'], '--topology-server: must be an http:// or https:// URL'],
    [['--route', '0='], '--route: route must be OWNER=PRIMARY[,FAILOVER...]'],
    [['--route', '0=0,1'], 'the route of owner 0 names server 1, which is not in the topology'],
    [['--rate-limit-burst', '-1'], '--rate-limit-burst: must be a whole number up to 4294967295'],
    [['--rate-limit-burst', '1e3'], '--rate-limit-burst: must be a whole number up to 4294967295'],
    [
      ['--origin-epoch', '18446744073709551616'],
      '--origin-epoch: must be a whole number of 64 bits',
    ],
    [['--strict-locator', 'maybe'], '--strict-locator: must be yes or no'],
    [
      ['--trusted-proxies', '10.0.0.0/33'],
      '--trusted-proxies: must be addresses or ranges such as 10.0.0.0/8, with commas between',
    ],
    [['--state-dir', ''], '--state-dir: is empty'],
    [
      ['--replication-peer-url', 'https://a'],
      'replication_peer_url is for servers that share a token: set replication_token, too',
    ],
    [['--config', 'missing.toml'], 'missing.toml cannot be read'],
  ])('are not %j', (words, expected) => {
    expect(problem(() => read(...words))).toBe(expected)
  })

  it.each([
    ['nope = 1', 'a.toml:1: unknown config key `nope`'],
    ['\nserver_id 1', 'a.toml:2: expected key = value'],
    ['[server]', 'a.toml:1: expected key = value'],
    ['cluster_id = "a', 'a.toml:1: unterminated quoted config value'],
    ['cluster_id = "a" b', 'a.toml:1: unterminated quoted config value'],
    ['server_id = 99', 'a.toml:1: server id must be 0..35 (0..9, a..z)'],
    ['smtp_url = "mail.example"', 'a.toml:1: must be an smtp:// or smtps:// URL'],
    ['smtp_from = a@b', 'smtp_url and smtp_from are only of use together'],
    [
      'smtp_url = smtp://a\nsmtp_from = a@b\nverification_email_command = /bin/mail',
      'smtp_url and verification_email_command are both set; choose one',
    ],
  ])('are not in a file with %j', (text, expected) => {
    expect(problem(() => file(text))).toBe(expected)
  })

  it('do not repeat a secret in an error', () => {
    expect(problem(() => file('replication_tokn = hunter2'))).not.toContain('hunter2')
    expect(problem(() => file('replication_token "hunter2"'))).not.toContain('hunter2')
  })

  it('ask for help, and where to send everything', () => {
    expect(readShareArguments(['--help'], readFile).help).toBe(true)
    const words = ['--peer-url', 'https://a.example/v1/replicate', '--server-id', '3']
    const { peerUrl, settings } = readShareArguments(words, readFile, true)
    expect([peerUrl, settings.serverId]).toEqual(['https://a.example/v1/replicate', 3])
  })
})
