import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificates } from '../support/key-vault/certificates.js'
import { makeKey, openRoom, signBoth, startPair, startVertex, type TestVertex } from './vertex.js'

const running: TestVertex[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((vertex) => vertex.stop()))
})
async function start(settings: Record<string, string> = {}): Promise<TestVertex> {
  const vertex = await startVertex(settings)
  running.push(vertex)
  return vertex
}

const plaintext = { VERTEX_BACKUP_MODE: 'plaintext', VERTEX_ALLOW_RAW_EXPORT: 'yes-i-understand' }

describe('plaintext mode', () => {
  it('is loud, has no vault identity, and takes back only what is plaintext', async () => {
    const first = await start(plaintext)
    const second = await start({ ...plaintext, VERTEX_RELAY_ALLOW: `127.0.0.1:${first.port}` })
    const loud = first.service.notes
      .filter((note) => note.level === 'warn')
      .map((note) => note.text)
    expect(loud.join('\n')).toContain('PLAINTEXT BACKUPS')
    expect(loud.join('\n')).toContain('recovery after a loss is by hand')

    const { parties } = await makeKey([first, second])
    const [party, other] = parties
    const { key, keyId } = party
    const created = await first.call('GET', '/ecdsa/create', { key })
    expect(created.body.vault_identity).toBeNull()
    const backup = await first.call('GET', `/ecdsa/backup/export-key-share/${keyId}`, { key })
    expect(backup.body.export_type).toBe('plaintext')
    const verified = await first.call('POST', '/ecdsa/backup/verify-key-share', {
      key,
      body: backup.body,
    })
    expect(verified.body).toMatchObject({ key_id: keyId, secret_version: null })
    const imported = await first.call('POST', '/ecdsa/backup/import-key-share', {
      key,
      body: backup.body,
    })
    const restored = { ...party, keyId: imported.body.key_id as string }
    const [a, b] = await signBoth([restored, other], { msg: 'aa', hash_algo: 'keccak256' })
    expect([a.status, b.status]).toEqual([200, 200])
    const wrong = { ...backup.body, export_type: 'encrypted' } as unknown
    const refused = await first.call('POST', '/ecdsa/backup/import-key-share', { key, body: wrong })
    expect([refused.status, refused.body.err_type]).toEqual([400, 'export_mode_refused'])
    expect(first.log.join('')).not.toContain((backup.body.key_share as string).slice(0, 40))
  })

  it('does not sign key_id_not_exists, having nothing to sign with', async () => {
    const vertex = await start(plaintext)
    const { key } = await vertex.user()
    const { body } = await vertex.call('GET', '/ecdsa/keys/4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02', {
      key,
      headers: { 'X-Vertex-Nonce': 'ab'.repeat(32), 'X-Vertex-Identity': 'cd'.repeat(32) },
    })
    expect(body.err_type).toBe('key_id_not_exists')
    expect(body).not.toHaveProperty('signature')
  })
})

describe('a party that does not come', () => {
  it('ends the request at its deadline, by name', async () => {
    const pair = await startPair()
    running.push(...pair)
    const { parties } = await makeKey(pair)
    const [party, other] = parties
    const impatient = await restarted(pair[0], { VERTEX_RUN_DEADLINE: '1' })
    const began = performance.now()
    const answer = await impatient.call('POST', '/ecdsa/sign', {
      key: party.key,
      body: {
        key_id: party.keyId,
        room_uuid: await openRoom({ vertex: impatient, key: party.key }),
        msg: 'aa',
        hash_algo: 'sha256',
      },
    })
    expect([answer.status, answer.body.err_type]).toEqual([400, 'room_timeout'])
    expect(answer.body.missing).toEqual([expect.objectContaining({ keygen_id: other.keygenId })])
    expect(performance.now() - began).toBeLessThan(5000)
  })
})

/** The same data and secrets under a new server, which also says that what was acknowledged is there. */
async function restarted(
  vertex: TestVertex,
  settings: Record<string, string>,
): Promise<TestVertex> {
  await vertex.service.stop()
  return start({
    VERTEX_DATA_DIR: join(vertex.dir, 'data'),
    VERTEX_BACKUP_SECRET_FILE: join(vertex.dir, 'backup-secret'),
    VERTEX_STORAGE_KEY_FILE: join(vertex.dir, 'storage-key'),
    ...settings,
  })
}

describe('a database that cannot be written now', () => {
  it('is a 503 that says when to try again, and nothing is lost', async () => {
    const vertex = await start()
    const { key } = await vertex.user('somebody')
    const { body } = await vertex.call('GET', '/ecdsa/create', { key })
    const other = new Database(join(vertex.dir, 'data/vertex.db'))
    other.exec('BEGIN IMMEDIATE')
    const [user, ready] = await Promise.all([
      vertex.admin('POST', '/admin/create-user', { body: { name: 'somebody else' } }),
      vertex.call('GET', '/readyz'),
    ])
    expect([user.status, user.body.err_type]).toEqual([503, 'storage_unavailable'])
    expect([ready.status, ready.body.ready]).toEqual([503, false])
    other.exec('ROLLBACK')
    other.close()
    const after = await vertex.call('GET', '/ecdsa/keys', { key })
    expect(after.body.keys).toMatchObject([{ key_id: body.key_id as string }])
    expect((await vertex.call('GET', '/readyz')).status).toBe(200)
    expect((await vertex.user('somebody else')).key).toMatch(/^vtx_/)
  })
})

describe('wrong secrets', () => {
  it('refuse to start and name their setting', async () => {
    const vertex = await start()
    await vertex.service.stop()
    const again = (settings: Record<string, string>) =>
      startVertex({
        VERTEX_DATA_DIR: join(vertex.dir, 'data'),
        VERTEX_BACKUP_SECRET_FILE: join(vertex.dir, 'backup-secret'),
        VERTEX_STORAGE_KEY_FILE: join(vertex.dir, 'storage-key'),
        ...settings,
      })
    const other = await start()
    const foreign = (name: string) => join(other.dir, name)
    await expect(again({ VERTEX_BACKUP_SECRET_FILE: foreign('backup-secret') })).rejects.toThrow(
      'VERTEX_BACKUP_SECRET_FILE',
    )
    await expect(again({ VERTEX_STORAGE_KEY_FILE: foreign('storage-key') })).rejects.toThrow()
    await expect(again({ VERTEX_BACKUP_SECRET_FILE: join(vertex.dir, 'none') })).rejects.toThrow(
      'VERTEX_BACKUP_SECRET_FILE',
    )
    await expect(again({ VERTEX_BACKUP_SECRET_FILE: import.meta.filename })).rejects.toThrow(
      'VERTEX_BACKUP_SECRET_FILE',
    )
    running.push(await again({}))
  })
})

describe('behind a proxy', () => {
  const note = ({ service }: TestVertex) =>
    service.notes.find(({ text }) => text.startsWith('VERTEX_TRUSTED_PROXIES'))

  it('is said at start that all clients look like one, unless the proxy is known', async () => {
    const proxy = { VERTEX_TLS: 'terminated-by-proxy' }
    expect(note(await start(proxy))?.level).toBe('warn')
    expect(note(await start({ ...proxy, VERTEX_TRUSTED_PROXIES: '127.0.0.1' }))).toBeUndefined()
    expect(note(await start())).toBeUndefined()
  })
})

describe('TLS', () => {
  it('is spoken in version 1.3 only', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'vertex-tls-'))
    const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
    const { authority: ca, certificate, key } = makeCertificates(['localhost'])
    writeFileSync(certFile, certificate)
    writeFileSync(keyFile, key)
    const vertex = await start({ VERTEX_TLS_CERT_FILE: certFile, VERTEX_TLS_KEY_FILE: keyFile })
    expect(vertex.url).toBe(`https://127.0.0.1:${vertex.port}`)
    const to = { host: '127.0.0.1', servername: 'localhost', port: vertex.port, ca }
    const status = await new Promise((resolve, reject) => {
      request({ ...to, path: '/readyz' }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(200)
    const old = await new Promise<string>((resolve) => {
      const socket = connect({ ...to, maxVersion: 'TLSv1.2' })
      socket.on('secureConnect', () => resolve('connected'))
      socket.on('error', () => resolve('refused'))
    })
    expect(old).toBe('refused')
    const mismatch = startVertex({ VERTEX_TLS_CERT_FILE: certFile, VERTEX_TLS_KEY_FILE: certFile })
    await expect(mismatch).rejects.toThrow('VERTEX_TLS_KEY_FILE')
    rmSync(dir, { recursive: true })
  })
})
