import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Config, ConfigError, readConfig, settings, takeConfig } from '../../src/config.js'

function problems(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

const postgres = {
  DATABASE_URL: 'postgres://vertex:pw-of-the-database@db/vertex',
  VERTEX_ADMIN_TOKEN_FILE: '/run/admin',
  VERTEX_BACKUP_SECRET_FILE: '/run/backup',
  VERTEX_STORAGE_KEY_FILE: '/run/storage',
}
const keyVault = {
  VERTEX_VAULT_NAME: 'prod',
  VERTEX_BACKUP_SECRET_NAME: 'backup-secret',
  VERTEX_BACKUP_SECRET_VAULT_NAME: 'my-vault',
}

describe('the configuration', () => {
  it('needs nothing: loopback, embedded database, encrypted backups', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      transport: { kind: 'plain' },
      database: { kind: 'sqlite', dataDir: resolve('data') },
      adminToken: { kind: 'embedded', path: resolve('data/admin-token') },
      backup: {
        mode: 'encrypted',
        source: { kind: 'embedded', path: resolve('vertex-secret/backup-secret') },
      },
      storageKey: { kind: 'embedded', path: resolve('vertex-secret/storage-key') },
      vaultName: 'vertex',
      corsOrigins: [],
      relayAllow: [],
      runDeadlineMs: 30_000,
      roomLifetimeMs: 60_000,
    })
  })

  it('is frozen, all the way down', () => {
    const config = readConfig({ VERTEX_CORS_ORIGINS: 'https://a.example' })
    expect(() => ((config as { port: number }).port = 1)).toThrow(TypeError)
    expect(() => (config.corsOrigins as string[]).push('x')).toThrow(TypeError)
    expect(Object.isFrozen(config.backup)).toBe(true)
  })

  it('refuses names it does not know and guesses which was meant', () => {
    expect(problems({ VERTEX_BACKUP_MOD: 'encrypted' })).toEqual([
      'VERTEX_BACKUP_MOD is not a setting of Vertex; did you mean VERTEX_BACKUP_MODE?',
    ])
    expect(problems({ VERTEX_SOMETHING_ELSE_ENTIRELY: '1' })).toEqual([
      'VERTEX_SOMETHING_ELSE_ENTIRELY is not a setting of Vertex',
    ])
    expect(problems({ VERTEX_TEST_PG_URL: 'x', AZURE_CLIENT_ID: 'y', PATH: '/bin' })).toEqual([])
  })

  it('reports all problems at once, each with the name of its setting', () => {
    const found = problems({
      PORT: '99999',
      VERTEX_LOG_LEVEL: 'loud',
      VERTEX_BACKUP_MODE: 'both',
      HOST: '',
    })
    expect(found.map((line) => line.split(' ')[0])).toEqual(
      expect.arrayContaining(['PORT', 'VERTEX_LOG_LEVEL', 'VERTEX_BACKUP_MODE', 'HOST']),
    )
  })

  it.each<[Record<string, string>, string]>([
    [{ HOST: '0.0.0.0' }, 'VERTEX_TLS_CERT_FILE'],
    [{ HOST: '127.evil.example' }, 'VERTEX_TLS_CERT_FILE'],
    [{ HOST: 'vertex.example', VERTEX_TLS_CERT_FILE: 'c' }, 'VERTEX_TLS_KEY_FILE'],
    [{ VERTEX_TLS_KEY_FILE: 'k' }, 'VERTEX_TLS_CERT_FILE'],
    [
      { VERTEX_TLS: 'terminated-by-proxy', VERTEX_TLS_CERT_FILE: 'c', VERTEX_TLS_KEY_FILE: 'k' },
      'contradicts',
    ],
    [{ VERTEX_TLS: 'off' }, 'VERTEX_TLS'],
    [{ PORT: '80a' }, 'PORT'],
    [{ DATABASE_URL: 'mysql://x' }, 'DATABASE_URL'],
    ...[
      'http://redis.example',
      'redis://:pa%ss@redis.example',
      'rediss://us%er:pass@redis.example',
      'redis://:%ff@redis.example',
      'redis://redis.example/abc',
      'redis://redis.example/1/2',
    ].map((url): [Record<string, string>, string] => [
      { ...postgres, REDIS_URL: url },
      'REDIS_URL',
    ]),
    [{ VERTEX_CORS_ORIGINS: '*' }, 'VERTEX_CORS_ORIGINS'],
    [{ VERTEX_CORS_ORIGINS: 'https://a.example/path' }, 'VERTEX_CORS_ORIGINS'],
    [{ VERTEX_RELAY_ALLOW: 'relay.example' }, 'VERTEX_RELAY_ALLOW'],
    ...[
      'http://account.blob.core.windows.net/c',
      'https://account.blob.core.windows.net',
      'https://account.blob.core.windows.net.evil.example/c',
      'https://evil.example/account.blob.core.windows.net/c',
      'https://account.blob.core.windows.net@evil.example/c',
      'https://account.blob.core.windows.net/c?sig=secret',
    ].map((url): [Record<string, string>, string] => [
      { VERTEX_AUDIT_ANCHOR_BLOB_URL: url },
      'VERTEX_AUDIT_ANCHOR_BLOB_URL',
    ]),
    [{ VERTEX_RELAY_ALLOW: 'relay.example:70000' }, 'VERTEX_RELAY_ALLOW'],
    [{ VERTEX_TRUSTED_PROXIES: 'proxy' }, 'VERTEX_TRUSTED_PROXIES'],
    [{ VERTEX_TRUSTED_PROXIES: '10.0.0.0/33' }, 'VERTEX_TRUSTED_PROXIES'],
    [{ VERTEX_ADMIN_TOKEN: 'short' }, 'VERTEX_ADMIN_TOKEN'],
    [{ VERTEX_ADMIN_TOKEN: 'x'.repeat(20), VERTEX_ADMIN_TOKEN_FILE: 'f' }, 'choose one'],
    [{ VERTEX_ADMIN_SECRET_NAME: 'a', VERTEX_ADMIN_TOKEN_FILE: 'f' }, 'choose one'],
    [
      { VERTEX_ADMIN_SECRET_NAME: 'a' },
      'VERTEX_ADMIN_SECRET_VAULT_NAME or VERTEX_ADMIN_SECRET_VAULT_URL is needed',
    ],
    [
      {
        ...keyVault,
        VERTEX_ADMIN_SECRET_NAME: 'Backup-Secret',
        VERTEX_ADMIN_SECRET_VAULT_NAME: 'my-vault',
      },
      'VERTEX_ADMIN_SECRET_NAME and VERTEX_BACKUP_SECRET_NAME name the same secret',
    ],
    [
      { VERTEX_ADMIN_TOKEN_FILE: './same', VERTEX_BACKUP_SECRET_FILE: 'same' },
      'VERTEX_ADMIN_TOKEN_FILE and VERTEX_BACKUP_SECRET_FILE name the same secret',
    ],
    [
      { VERTEX_ADMIN_TOKEN_FILE: 'vertex-secret/storage-key' },
      'VERTEX_ADMIN_TOKEN_FILE and VERTEX_STORAGE_KEY_FILE name the same secret',
    ],
    [
      { VERTEX_ADMIN_TOKEN_FILE: 'vertex-secret/backup-secret' },
      'VERTEX_ADMIN_TOKEN_FILE and VERTEX_BACKUP_SECRET_FILE name the same secret',
    ],
    [
      { VERTEX_BACKUP_SECRET_FILE: 'data/admin-token' },
      'VERTEX_ADMIN_TOKEN_FILE and VERTEX_BACKUP_SECRET_FILE name the same secret',
    ],
    [{ VERTEX_BACKUP_MODE: 'plaintext' }, 'VERTEX_ALLOW_RAW_EXPORT=yes-i-understand'],
    [
      { VERTEX_BACKUP_MODE: 'plaintext', VERTEX_ALLOW_RAW_EXPORT: 'yes' },
      'VERTEX_ALLOW_RAW_EXPORT',
    ],
    [{ VERTEX_BACKUP_SECRET_FILE: 'f', ...keyVault }, 'choose one'],
    [
      { VERTEX_VAULT_NAME: 'prod', VERTEX_BACKUP_SECRET_NAME: 'n' },
      'VERTEX_BACKUP_SECRET_VAULT_NAME',
    ],
    [{ VERTEX_BACKUP_SECRET_VAULT_NAME: 'my-vault' }, 'VERTEX_BACKUP_SECRET_NAME is needed'],
    [{ ...keyVault, VERTEX_BACKUP_SECRET_VAULT_URL: 'https://v.vault.azure.cn' }, 'choose one'],
    [
      { VERTEX_BACKUP_SECRET_VAULT_URL: 'http://v.vault.azure.cn' },
      'VERTEX_BACKUP_SECRET_VAULT_URL',
    ],
    [
      { VERTEX_BACKUP_SECRET_NAME: 'n', VERTEX_BACKUP_SECRET_VAULT_NAME: 'my-vault' },
      'VERTEX_VAULT_NAME is needed',
    ],
    [{ VERTEX_BACKUP_SECRET_FILE: 'same', VERTEX_STORAGE_KEY_FILE: './same' }, 'must differ'],
    [{ ...keyVault, VERTEX_STORAGE_SECRET_NAME: 'backup-secret' }, 'must differ'],
    [{ VERTEX_VAULT_NAME: 'Not A Name' }, 'VERTEX_VAULT_NAME'],
    [{ VERTEX_API_KEYS_NOT_BEFORE: 'yesterday' }, 'VERTEX_API_KEYS_NOT_BEFORE'],
    [{ VERTEX_API_KEYS_NOT_BEFORE: '2026-01-31T12:00:00' }, 'VERTEX_API_KEYS_NOT_BEFORE'],
    [{ VERTEX_RUN_DEADLINE: '0' }, 'VERTEX_RUN_DEADLINE'],
    [{ VERTEX_ROOM_LIFETIME: '1.5' }, 'VERTEX_ROOM_LIFETIME'],
    [{ VERTEX_DATA_DIR: '.' }, 'VERTEX_DATA_DIR'],
    [{ DATABASE_URL: postgres.DATABASE_URL }, 'VERTEX_BACKUP_SECRET_FILE'],
    [{ ...postgres, VERTEX_ADMIN_TOKEN_FILE: '' }, 'VERTEX_ADMIN_TOKEN_FILE'],
  ])('refuses %j and names %s', (env, named) => {
    expect(problems(env).join('\n')).toContain(named)
  })

  it('never quotes a secret it refuses', () => {
    const said = problems({
      DATABASE_URL: 'mysql://user:hunter2@db',
      REDIS_URL: 'redis://:hunter2%@redis',
      VERTEX_ADMIN_TOKEN: 'hunter2 with spaces',
    }).join()
    expect(said).toContain('DATABASE_URL')
    expect(said).toContain('REDIS_URL has a user or a password')
    expect(said).not.toContain('hunter2')
  })

  it.each([
    'redis://redis.example',
    'redis://redis.example:6379/',
    'rediss://us%2Fer:pa%25ss@redis.example/3',
    'redis://:pass@[::1]:6379/0',
  ])('takes %s for a Redis', (url) => {
    expect(readConfig({ ...postgres, REDIS_URL: url }).redis?.url).toBe(url)
  })

  it.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost'])('lets %s do without TLS', (HOST) => {
    expect(readConfig({ HOST }).transport).toEqual({ kind: 'plain' })
  })

  it('lets a reachable host do with a certificate or a proxy', () => {
    const tls = { HOST: '0.0.0.0', VERTEX_TLS_CERT_FILE: 'c.pem', VERTEX_TLS_KEY_FILE: 'k.pem' }
    expect(readConfig(tls).transport).toEqual({
      kind: 'tls',
      certFile: resolve('c.pem'),
      keyFile: resolve('k.pem'),
    })
    expect(readConfig({ HOST: '::', VERTEX_TLS: 'terminated-by-proxy' }).transport).toEqual({
      kind: 'proxy',
    })
  })

  it('takes a Key Vault by name or URL, and the storage key from the same vault unless told otherwise', () => {
    const url = (config: Config) =>
      config.storageKey.kind === 'azure' ? config.storageKey.vaultUrl : undefined
    const shared = readConfig({ ...keyVault, VERTEX_STORAGE_SECRET_NAME: 'storage-key' })
    expect(shared.backup).toMatchObject({
      source: { kind: 'azure', vaultUrl: 'https://my-vault.vault.azure.net' },
    })
    expect(url(shared)).toBe('https://my-vault.vault.azure.net')
    const own = readConfig({
      ...keyVault,
      VERTEX_STORAGE_SECRET_NAME: 'storage-key',
      VERTEX_STORAGE_SECRET_VAULT_URL: 'https://other.vault.azure.cn',
    })
    expect(url(own)).toBe('https://other.vault.azure.cn')
  })

  it('leaves the names of the Azure SDK alone and uses the client id of the identity', () => {
    const env: NodeJS.ProcessEnv = {
      ...keyVault,
      AZURE_CLIENT_ID: 'an-identity',
      AZURE_TENANT_ID: 't',
    }
    expect(takeConfig(env).backup).toMatchObject({ source: { clientId: 'an-identity' } })
    expect(env).toMatchObject({ AZURE_CLIENT_ID: 'an-identity', AZURE_TENANT_ID: 't' })
  })

  it('generates nothing beside Postgres', () => {
    expect(readConfig(postgres).database).toEqual({ kind: 'postgres', url: postgres.DATABASE_URL })
    for (const missing of Object.keys(postgres).filter((name) => name !== 'DATABASE_URL')) {
      const env = Object.fromEntries(Object.entries(postgres).filter(([name]) => name !== missing))
      expect(problems(env).join()).toContain(missing)
    }
  })

  it('takes its secrets out of the environment, also when it refuses', () => {
    const env: NodeJS.ProcessEnv = {
      ...postgres,
      VERTEX_ADMIN_TOKEN_FILE: undefined,
      VERTEX_ADMIN_TOKEN: 'x'.repeat(32),
    }
    expect(takeConfig(env).adminToken).toEqual({ kind: 'value', value: 'x'.repeat(32) })
    expect(Object.keys(env)).not.toEqual(expect.arrayContaining(['VERTEX_ADMIN_TOKEN']))
    expect(env['DATABASE_URL']).toBeUndefined()
    const wrong: NodeJS.ProcessEnv = { VERTEX_ADMIN_TOKEN: 'short' }
    expect(() => takeConfig(wrong)).toThrow(ConfigError)
    expect(wrong['VERTEX_ADMIN_TOKEN']).toBeUndefined()
  })
})

describe('docs/operations/configuration.md', () => {
  const rows = readFileSync(
    new URL('../../docs/operations/configuration.md', import.meta.url),
    'utf8',
  )
    .split('\n')
    .map((line) => /^\| `([A-Z_]+)` *\| (\S+) *\|/.exec(line))
    .filter((row) => row !== null)

  it('has one row for every setting and none besides', () => {
    expect(rows.map((row) => row[1]).sort()).toEqual(Object.keys(settings).sort())
  })

  it('gives the defaults of the code', () => {
    for (const [, name, cell] of rows) {
      const found = settings[name as keyof typeof settings].parse(undefined)
      const shown = Array.isArray(found) || found === undefined ? '–' : `\`${String(found)}\``
      const expected =
        name === 'VERTEX_DATA_DIR' ? '`./data`' : name === 'VERTEX_VAULT_NAME' ? '`vertex`' : shown
      expect([name, cell]).toEqual([name, expected])
    }
  })
})
