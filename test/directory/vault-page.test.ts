import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryShareStore, Vertex } from '@vertex/sdk'
import { afterAll, expect, it, vi } from 'vitest'
import { startServer } from '../support/server.js'

vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/vault.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-vault-page-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const names = ['who', 'chain', 'party', 'keygen', 'seal', 'open', 'name', 'back']

const block = (name: string) => {
  const found = new RegExp(`<!-- pasted: ${name} -->\\n+\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)
  expect(found, name).not.toBeNull()
  return found![1]!
}

it('has commands that work when pasted', async () => {
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const server = await startServer({
    folder: join(folder, 'server'),
    settings: { VERTEX_KEYSERVER_DOMAINS: 'mute.example' },
  })
  const apiKey = await server.createUser('somebody')
  const store = new MemoryShareStore()
  const vertex = new Vertex({ url: server.url, apiKey, store, allowHttpOnLoopback: true })
  try {
    const { keyId, publicKey } = await vertex.ecdsa.createKey()
    // One shell for all of it, as a person would have.
    const script = names.flatMap((name) => [`echo; echo '== ${name}'`, block(name)])
    const said = execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
      cwd: folder,
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        VERTEX: server.url,
        API_KEY: apiKey,
        KEY_ID: keyId,
      },
    })
    const parts = said.split(/== \w+\n/).map((part) => part.trim())
    const [, who, chain, , keygen, seal, open, name, back] = parts
    expect(who).toMatch(
      /^\{"primary":"ed25519:[0-9a-f]{64}","keygen_id":"(02[0-9a-f]{64})","host":null\}\{"keygen_id":"\1"\}$/,
    )
    const [, persistent] = /"keygen_id":"(\w+)"/.exec(who!)!
    expect(chain).toContain(`"subject":"keygen:${persistent!}"`)
    expect(JSON.parse(keygen!)).toMatchObject({
      err_type: 'bad_request_params',
      err_msg: 'others_identities[0]: the keygen_id is not live on the sigchain of this party',
    })
    expect(JSON.parse(seal!)).toMatchObject({
      export_type: 'encrypted',
      key_share: expect.stringMatching(/^VlRYU0xE/) as string,
    })
    expect(JSON.parse(open!)).toMatchObject({
      key_id: keyId,
      pubkey: Buffer.from(publicKey).toString('hex'),
    })
    const [identity, ...sealed] = name!.split('\n')
    expect(identity).toBe('alice@mute.example')
    expect(JSON.parse(sealed.join(''))).toMatchObject({
      key_share: expect.stringMatching(/^VlRYU0xE/) as string,
      recipient: {
        primary: 'mute:alice@mute.example',
        key_init: expect.stringContaining('SESSIONANCHOR') as string,
      },
    })
    expect(JSON.parse(back!)).toMatchObject({ key_id: keyId })
  } finally {
    await vertex.close()
    await server.kill()
  }
})
