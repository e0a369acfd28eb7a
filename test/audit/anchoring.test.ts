import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, type RunningServer } from '../../demo/server.js'
import {
  anchorFile,
  Anchoring,
  AuditWriter,
  formatAnchor,
  parseAnchor,
  verifyLog,
  type AnchorPlace,
} from '../../src/audit/index.js'
import { secretSource, loadNewest, StorageKey } from '../../src/seal/index.js'
import type { AuditRow, MakeAudit } from '../../src/vault/ports.js'
import type { VaultEvent } from '../../src/vault/index.js'
import { startBlobStore, type BlobStore } from '../support/blob-store.js'
import { startKeyVault, type KeyVault } from '../support/key-vault/index.js'
import { buildOnce, freePort } from '../support/server.js'
import { sql } from '../store/engines.js'

const keys = { chain: new Uint8Array(32).fill(1), values: new Uint8Array(32).fill(2) }
const generation = 'a'.repeat(32)
const clock = { now: () => 1_750_000_000_000 }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-anchors-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A log in memory, and what is said of its anchors. */
function logInMemory(places: readonly AnchorPlace[]) {
  const rows: AuditRow[] = []
  const table = {
    appendAudit: (make: MakeAudit) => {
      rows.push(...make(rows.at(-1), generation, undefined))
      return Promise.resolve()
    },
  }
  const writer = new AuditWriter(table, keys, clock)
  const events: VaultEvent[] = []
  const anchoring = new Anchoring(writer, keys, clock, places, (event) => events.push(event))
  const append = () =>
    writer.append({
      request: '',
      actor: 'admin',
      user: '',
      apiKey: '',
      action: 'create_user',
      key: '',
      of: 0,
      outcome: 'begun',
      values: [],
    })
  return { rows, events, anchoring, append }
}

const anchorsOf = (text: string) =>
  text
    .split('\n')
    .map(parseAnchor)
    .filter((anchor) => anchor !== undefined)

describe('an anchor', () => {
  it('is kept in the file once for each head, and printed; the log agrees with it', async () => {
    const path = join(folder, 'anchors.jsonl')
    const { rows, events, anchoring, append } = logInMemory([anchorFile(path)])
    await anchoring.end()
    expect(events).toEqual([])
    await append()
    await anchoring.end()
    await anchoring.end()
    await append()
    await anchoring.end()
    const anchors = anchorsOf(readFileSync(path, 'utf8'))
    expect(anchors.map(({ seq }) => seq)).toEqual([2, 3])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(events.map((event) => 'line' in event && event.line).join('\n') + '\n').toBe(
      readFileSync(path, 'utf8'),
    )
    const lines = rows.map(({ line }) => line)
    expect(await verifyLog(lines, { chainKey: keys.chain, anchors })).toMatchObject({
      ok: true,
      anchored: 2,
      unanchored: 0,
    })
    expect(await verifyLog(lines.slice(0, 2), { chainKey: keys.chain, anchors })).toEqual({
      ok: false,
      seq: 3,
      problem: 'cut_off',
    })
  })

  it('is not swallowed by what a crash left of the one before', async () => {
    const path = join(folder, 'anchors.jsonl')
    writeFileSync(path, '{"anchor":1,"at":"20')
    const { anchoring, append } = logInMemory([anchorFile(path)])
    await append()
    await anchoring.end()
    expect(anchorsOf(readFileSync(path, 'utf8')).map(({ seq }) => seq)).toEqual([2])
  })

  it('that cannot be kept is said by a code, and tried again', async () => {
    const path = join(folder, 'none', 'anchors.jsonl')
    const { events, anchoring, append } = logInMemory([anchorFile(path)])
    await append()
    await anchoring.end()
    expect(events.at(-1)).toEqual({ event: 'audit_anchor_failed', place: 'file', reason: 'ENOENT' })
    const kept: string[] = []
    let broken = true
    const place: AnchorPlace = {
      kind: 'blob',
      append: (line) => {
        if (broken) return Promise.reject(new Error('a secret of somebody else'))
        kept.push(line)
        return Promise.resolve()
      },
    }
    const other = logInMemory([place])
    await other.append()
    await other.anchoring.end()
    expect(JSON.stringify(other.events)).not.toContain('secret')
    expect(other.events.at(-1)).toMatchObject({
      event: 'audit_anchor_failed',
      reason: 'unexpected',
    })
    broken = false
    await other.anchoring.end()
    expect(anchorsOf(kept.join('\n')).map(({ seq }) => seq)).toEqual([2])
  })
})

describe('a server', () => {
  const host = 'vertexanchors.blob.core.windows.net'
  const adminToken = 'test-admin-token-0123456789abcdef'
  const program = join(import.meta.dirname, '../support/main-with-hosts.mjs')
  let kv: KeyVault
  let store: BlobStore

  beforeAll(async () => {
    await buildOnce()
    kv = await startKeyVault()
    kv.fixToken('https://storage.azure.com', 'a-token-for-storage')
    store = await startBlobStore(host, 'a-token-for-storage')
  })
  afterAll(async () => {
    await store.close()
    await kv.close()
  })

  const start = async (more: Record<string, string> = {}) => {
    const authority = join(folder, 'authority.pem')
    writeFileSync(authority, store.authority)
    return startServer({
      program,
      folder,
      port: await freePort(),
      settings: {
        ...kv.env,
        NODE_EXTRA_CA_CERTS: authority,
        VERTEX_ADMIN_TOKEN: adminToken,
        VERTEX_TEST_HOSTS: host,
        VERTEX_TEST_PROGRAM: 'main.js',
        VERTEX_AUDIT_ANCHOR_BLOB_URL: `https://${host}:${store.port}/anchors/vertex/`,
        VERTEX_AUDIT_ANCHOR_FILE: join(folder, 'anchors.jsonl'),
        VERTEX_AUDIT_ANCHOR_SECONDS: '1',
        ...more,
      },
    })
  }
  const createUser = async (server: RunningServer, name: string) => {
    const response = await fetch(`${server.url}/admin/create-user`, {
      method: 'POST',
      headers: { Authorization: adminToken, 'Content-Type': 'application/json' },
      body: JSON.stringify({ name }),
    })
    expect(response.status).toBe(200)
  }
  const inBlob = () => anchorsOf([...store.blobs.values()].join(''))
  const until = async (what: () => boolean) => {
    while (!what()) await sleep(20)
  }

  it('keeps its head in a blob as its managed identity, and goes on after a refusal', async () => {
    const server = await start()
    await until(() => inBlob().length > 0)
    expect([...store.blobs.keys()][0]).toMatch(/^\/anchors\/vertex\/\d{4}-\d\d-\d\d\.jsonl$/)
    for (const failure of [
      { status: 403, code: 'AuthorizationPermissionMismatch' },
      // Where it leads nobody must get the token.
      { status: 307, code: 'Moved' },
    ]) {
      store.fail(failure)
      await createUser(server, failure.code)
      const reason = failure.status === 307 ? 'no_connection' : failure.code
      await until(() => server.output().includes(`"reason":"${reason}"`))
    }
    const before = inBlob().length
    store.fail(undefined)
    await until(() => inBlob().length > before)
    // Two servers make the blob of a new day at once.
    store.before = (request) => {
      if (!request.includes('comp=')) for (const path of paths) store.make(path)
    }
    const paths = [...store.blobs.keys()]
    const earlier = [...store.blobs.values()].join('')
    ;(store.blobs as Map<string, string>).clear()
    await createUser(server, 'of a new day')
    await until(() => inBlob().length > 0)
    store.before = () => undefined
    await createUser(server, 'the last one')
    await server.stop()

    const kept = [...anchorsOf(earlier), ...inBlob()]
    const rows = await sql(
      { kind: 'sqlite', dataDir: join(folder, 'data') },
      'SELECT line FROM audit_records ORDER BY seq',
    )
    const lines = rows.map(({ line }) => String(line))
    const newest = await loadNewest(
      secretSource(
        { kind: 'file', setting: 'x', path: join(folder, 'vertex-secret/storage-key') },
        () => undefined,
      ),
    )
    const chainKey = new StorageKey(newest.bytes, 'vertex').auditKeys().chain
    const inFile = anchorsOf(readFileSync(join(folder, 'anchors.jsonl'), 'utf8'))
    for (const anchors of [kept, inFile]) {
      expect(anchors.length).toBeGreaterThan(3)
      // A clean end anchors what there is.
      expect(await verifyLog(lines, { chainKey, anchors })).toMatchObject({
        ok: true,
        anchored: anchors.length,
        unanchored: 0,
        unfinished: [],
      })
    }
    expect(server.output()).not.toContain('a-token-for-storage')
    expect(server.output()).toContain(JSON.stringify(formatAnchor(inFile.at(-1)!)))
  })

  it('does not start where the file cannot be written', async () => {
    appendFileSync(join(folder, 'plain'), '')
    await expect(
      start({ VERTEX_AUDIT_ANCHOR_FILE: join(folder, 'plain', 'anchors.jsonl') }),
    ).rejects.toThrow('VERTEX_AUDIT_ANCHOR_FILE')
  })
})
