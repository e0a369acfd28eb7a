import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ed25519 } from '@noble/curves/ed25519.js'
import {
  bytesToHex,
  drillCanary,
  encodeKeyShare,
  hexToBytes,
  nobleSuite,
  signDrillReport,
} from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import {
  BackupError,
  IdentityError,
  KeyNotFoundError,
  MemoryShareStore,
  verifyDrillReport,
  type DrillReport,
  type EcdsaKey,
  type Fetch,
  type ShareStore,
} from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { LiveKey } from '../../sdk/src/live-key.js'
import { decodeRecord, encodeRecord, type KeyRecord } from '../../sdk/src/record.js'
import { wipeData, type TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const message = utf8('the live share goes on')
const passphrase = 'a passphrase for a drill'
const directory = join(harness.folder, 'shares')
let server: TestServer
let apiKey: string
let files: FileShareStore
let key: EcdsaKey

/** What was asked, and a hand on the answers. */
let asked: string[] = []
let meddle: (path: string, send: () => Promise<Response>) => Promise<Response> = (_, send) => send()
const wire: Fetch = (input, init) => {
  const { pathname } = new URL(input)
  asked.push(pathname)
  return meddle(pathname, () => fetch(input, init))
}

beforeAll(async () => {
  server = await harness.server('vertex')
  apiKey = await server.createUser('driller')
  files = await FileShareStore.open({ directory, passphrase, logN: 17 })
  const vertex = await harness.client(server, { apiKey, store: files, fetch: wire })
  key = await vertex.ecdsa.createKey()
})
afterAll(async () => {
  await files.close()
  await harness.end()
})

/** Every byte of the client's store. */
function contentOf(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  expect(paths.length).toBeGreaterThan(2)
  return Object.fromEntries(
    paths.sort().map((path) => [path, readFileSync(path).toString('base64')]),
  )
}

/** A copy of the key, with a changed record, in a store of its own. */
async function withRecord(change: (record: KeyRecord) => KeyRecord): Promise<MemoryShareStore> {
  const store = new MemoryShareStore()
  const record = decodeRecord((await files.get('key', key.id))!.value)
  await store.put('key', key.id, encodeRecord(change(record)), 0)
  return store
}
const opened = async (store: ShareStore, options = {}) => {
  const vertex = await harness.client(server, { apiKey, store, fetch: wire, ...options })
  return vertex.ecdsa.openKey(key.id)
}
const failing = (one: EcdsaKey, ...options: Parameters<EcdsaKey['drillBackup']>) =>
  one.drillBackup(...options).then(
    () => undefined,
    (error: unknown) => error,
  )
const pinned = async () =>
  decodeRecord((await files.get('key', key.id))!.value).vertices[0]!.identity!
const stored = async () =>
  decodeRecord((await files.get('key', key.id))!.value).vertices[0]!.backup!

describe('key.drillBackup()', () => {
  it('has the stored backup sign with this party’s share, and hands out a report that anybody can check', async () => {
    const drilled = await key.drillBackup()
    const { report, signature, digest } = drilled
    const blob = Buffer.from((await stored()).key_share, 'base64')
    expect(digest).toBe(createHash('sha256').update(blob).digest('hex'))
    expect(drilled).toMatchObject({ publicKey: bytesToHex(key.publicKey), epoch: 0 })
    const { publicKey, vaultName } = await pinned()
    expect(report).toMatchObject({ key_id: key.keyId, vault_name: vaultName, identity: publicKey })
    expect(verifyDrillReport(report!, hexToBytes(publicKey))).toBe(true)
    const canary = drillCanary({
      publicKey: key.publicKey,
      epoch: 0,
      blobDigest: hexToBytes(digest),
      nonce: hexToBytes(report!.nonce),
    })
    const { curve } = nobleSuite()
    expect(curve.encode(curve.recover(signature, canary)!)).toEqual(key.publicKey)
    for (const [name, value] of Object.entries(report!)) {
      const other = typeof value === 'number' ? value + 1 : changed(name, value)
      const forged = { ...report!, [name]: other }
      // It names its identity, but that is not what makes it that identity's.
      expect([name, verifyDrillReport(forged, hexToBytes(publicKey))]).toEqual([
        name,
        name === 'identity',
      ])
    }
    expect(verifyDrillReport(report!, ed25519.utils.randomSecretKey())).toBe(false)
    expect(verifyDrillReport({} as DrillReport, hexToBytes(publicKey))).toBe(false)
    const { keys } = await (await harness.client(server, { apiKey })).rest.backupCoverage()
    expect(keys).toMatchObject([{ state: 'verified', drilled_at: drilled.drilledAt }])
  })

  it('leaves every file of the client’s store as it was', async () => {
    await key.sign({ message, hashAlgo: 'sha256' })
    const before = contentOf(directory)
    await key.drillBackup()
    expect(contentOf(directory)).toEqual(before)
  })

  it('works while signatures of the live share are under way', async () => {
    const signs = async () => {
      const { der } = await key.sign({ message, hashAlgo: 'sha256' })
      expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    }
    await Promise.all([signs(), key.drillBackup(), signs(), key.drillBackup(), signs()])
  })

  it('drills a backup that it is given, also one in the clear, which nobody can sign for', async () => {
    const plain = await harness.server('plain', {
      settings: { VERTEX_BACKUP_MODE: 'plaintext', VERTEX_ALLOW_RAW_EXPORT: 'yes-i-understand' },
    })
    const vertex = await harness.client(plain)
    const own = await vertex.ecdsa.createKey()
    // No backup stored: backup_missing.
    expect(await failing(own)).toMatchObject({ errType: 'backup_missing' })
    const backup = await own.exportBackup()
    expect(await own.drillBackup({ backup })).toMatchObject({ report: null, secretVersion: null })
    await plain.stop()
  })
})

describe('a drill goes wrong', () => {
  it('no backup stored: backup_missing', async () => {
    const none = await withRecord((record) => ({
      ...record,
      vertices: record.vertices.map((vertex) => ({ ...vertex, backup: null })),
    }))
    const one = await opened(none)
    asked = []
    expect(await failing(one)).toMatchObject({ errType: 'backup_missing' })
    expect(asked).toEqual([])
  })

  it('blob of another epoch or key than the client’s: backup_invalid, before a room is opened', async () => {
    const share = LiveKey.of(files, key.id).share(
      nobleSuite(),
      decodeRecord((await files.get('key', key.id))!.value),
    )
    const newer = await opened(
      await withRecord((record) => ({
        ...record,
        epoch: 1,
        share: encodeKeyShare({ ...share, epoch: 1 }),
      })),
    )
    const vertex = await harness.client(server, { apiKey })
    const backup = await (await vertex.ecdsa.createKey()).exportBackup()
    asked = []
    for (const error of [
      await failing(newer),
      await failing(key, { backup }),
      await failing(key, { backup: { ...backup, key_share: 'not base64!' } }),
    ]) {
      expect(error).toBeInstanceOf(BackupError)
      expect(error).toMatchObject({ errType: 'backup_invalid' })
    }
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.filter((path) => /create-room|drill/.test(path))).toEqual([])
  })

  it('blob of another mode: export_mode_refused', async () => {
    const backup = { ...(await stored()), export_type: 'plaintext' as const }
    expect(await failing(key, { backup })).toMatchObject({ errType: 'export_mode_refused' })
  })

  it('a Vertex that does not prove the pinned identity never gets the backup', async () => {
    const { publicKey } = await pinned()
    const other = await opened(
      await withRecord((record) => ({
        ...record,
        vertices: record.vertices.map((vertex) => ({
          ...vertex,
          identity: { ...vertex.identity!, publicKey: publicKey.replace(/^../, 'ab') },
        })),
      })),
    )
    asked = []
    expect(await failing(other)).toBeInstanceOf(IdentityError)
    expect(asked.filter((path) => path.includes('backup'))).toEqual([])
  })

  it('peer locked out: key_locked, before anything is asked', async () => {
    const { vertices } = decodeRecord((await files.get('key', key.id))!.value)
    const share = LiveKey.of(files, key.id).share(
      nobleSuite(),
      decodeRecord((await files.get('key', key.id))!.value),
    )
    const party = share.keygenIds.findIndex((id) => bytesToHex(id) === vertices[0]!.keygenId) + 1
    const failures = Array.from({ length: 5 }, () => ({ party, at: Date.now() }))
    const locked = await opened(await withRecord((record) => ({ ...record, failures })))
    asked = []
    expect(await failing(locked)).toMatchObject({ errType: 'key_locked' })
    expect(asked).toEqual([])
  })

  it('a failed check on this side: protocol_abort; its id and one failure stay, the live setup too', async () => {
    const store = await withRecord((record) => record)
    const own = await opened(store)
    await own.sign({ message, hashAlgo: 'sha256' })
    const [id] = await store.list('setup')
    const live = (await store.get('setup', id!))!.value
    const suite = nativeSuite()
    const doubting = await opened(store, {
      suite: { ...suite, curve: { ...suite.curve, recover: () => undefined } },
    })
    expect(await failing(doubting)).toMatchObject({ errType: 'protocol_abort' })
    const { retiredSetups, failures } = decodeRecord((await store.get('key', key.id))!.value)
    expect([retiredSetups.length, failures.length]).toEqual([1, 1])
    expect((await store.get('setup', id!))!.value).toEqual(live)
    const { der } = await own.sign({ message, hashAlgo: 'sha256' })
    expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    expect((await store.get('setup', id!))!.value).toEqual(live)
  })

  it('the Vertex does not come: room_timeout', async () => {
    meddle = (path, send) =>
      path.endsWith('/drill-key-share') ? new Promise(() => undefined) : send()
    try {
      expect(await failing(key, { deadlineMs: 2_000 })).toMatchObject({ errType: 'room_timeout' })
    } finally {
      meddle = (_, send) => send()
    }
    await key.drillBackup()
  })

  it.each([
    ['there is none', () => null],
    ['by another identity', (report: DrillReport) => signedBy(report)],
    ['with something changed', (report: DrillReport) => ({ ...report, generation: 'another' })],
    ['of another time', (report: DrillReport) => ({ ...report, drilled_at: '2026-01-01T00:00Z' })],
    ['replayed', (_: DrillReport, former: DrillReport) => former],
  ])('report that is not this drill’s: identity_mismatch: %s', async (_, forge) => {
    const { report: former } = await key.drillBackup()
    meddle = async (path, send) => {
      const answer = await send()
      if (!path.endsWith('/drill-key-share')) return answer
      const body = (await answer.json()) as { report: DrillReport; drilled_at: string }
      const report = forge(body.report, former!)
      // As a thorough forger would have it.
      return Response.json({ ...body, drilled_at: report?.drilled_at ?? body.drilled_at, report })
    }
    try {
      const error = await failing(key)
      expect(error).toBeInstanceOf(IdentityError)
      expect(error).toMatchObject({ errType: 'identity_mismatch' })
    } finally {
      meddle = (__, send) => send()
    }
  })

  it('a key that more than two sign with: bad_argument', async () => {
    const third = await harness.server('third', {
      settings: { VERTEX_RELAY_ALLOW: `127.0.0.1:${server.port}` },
    })
    const vertex = await harness.client(server, { apiKey })
    const access = { url: third.url, apiKey: await third.createUser('the same app') }
    const all = await vertex.ecdsa.createKey({ parties: 3, threshold: 3, vertices: [access] })
    expect(await failing(all)).toMatchObject({
      errType: 'bad_argument',
      message: expect.stringContaining('verify the backups') as string,
    })
    const two = await vertex.ecdsa.createKey({ parties: 3, threshold: 2, vertices: [access] })
    for (const url of [server.url, third.url]) {
      const { report } = await two.drillBackup({ vertex: url })
      expect(report).toMatchObject({ pubkey: bytesToHex(two.publicKey) })
    }
    await third.stop()
  })

  it('relay gone: UnavailableError; then none here: KeyNotFoundError, and nothing is imported by itself', async () => {
    // The relay goes in the middle of a drill, and with it the Vertex.
    let joining: () => void = () => undefined
    const hasBegun = new Promise<void>((resolve) => (joining = resolve))
    meddle = (path, send) => {
      if (!path.endsWith('/drill-key-share')) return send()
      joining()
      return new Promise(() => undefined)
    }
    const cutOff = failing(key)
    await hasBegun
    await server.kill()
    expect(await cutOff).toMatchObject({ name: 'UnavailableError', errType: 'connection_failed' })
    meddle = (_, send) => send()
    wipeData(server.folder)
    server = await harness.server('vertex', { port: server.port })
    asked = []
    expect(await failing(key)).toBeInstanceOf(KeyNotFoundError)
    expect(asked).toContain('/ecdsa/backup/drill-key-share')
    expect(asked).not.toContain('/ecdsa/backup/import-key-share')
    // A signature brings it back, and then it is drilled.
    await key.sign({ message, hashAlgo: 'sha256' })
    await key.drillBackup()
  })
})

/** Another value of the same form. */
function changed(name: string, value: string): string {
  if (name === 'drilled_at') return new Date(Date.parse(value) + 1).toISOString()
  return /^[0-9a-f]+$/.test(value)
    ? value.replace(/.$/, (c) => (c === '0' ? '1' : '0'))
    : `${value}x`
}

/** The same report, signed by a vault of the forger's. */
function signedBy(report: DrillReport): DrillReport {
  const seed = ed25519.utils.randomSecretKey()
  const signature = signDrillReport(seed, {
    vaultName: report.vault_name,
    generation: report.generation,
    userId: report.user_id,
    keyId: report.key_id,
    publicKey: hexToBytes(report.pubkey),
    party: report.party,
    epoch: report.epoch,
    blobDigest: hexToBytes(report.digest),
    secretFingerprint: hexToBytes(report.secret_fingerprint),
    nonce: hexToBytes(report.nonce),
    signature: hexToBytes(report.r + report.s),
    drilledAt: Date.parse(report.drilled_at),
  })
  const identity = bytesToHex(ed25519.getPublicKey(seed))
  const forged = { ...report, identity, signature: bytesToHex(signature) }
  expect(verifyDrillReport(forged, ed25519.getPublicKey(seed))).toBe(true)
  return forged
}
