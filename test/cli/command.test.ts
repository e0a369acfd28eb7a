import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adminToken, makeKey, startPair, type Party, type TestVertex } from '../http/vertex.js'
import { buildOnce } from '../support/server.js'
import { vertex } from './support/run.js'

let folder: string
let pair: [TestVertex, TestVertex]
let party: Party
const servers: Server[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-cli-'))
  pair = await startPair()
  party = (await makeKey(pair)).parties[0]
})
afterAll(async () => {
  for (const server of servers) server.close()
  await Promise.all(pair.map((vertex) => vertex.stop()))
  rmSync(folder, { recursive: true })
})

let files = 0
function fileOf(content: string): string {
  const path = join(folder, `file-${++files}`)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

const census = (keyFile: string, url: string, ...more: string[]) => [
  'backup',
  'census',
  '--url',
  url,
  '--key-file',
  keyFile,
  ...more,
]

/** Something at an address that gives one answer to everything. */
async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_, res) => {
    res.writeHead(status, { 'Content-Type': 'application/json' }).end(body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('the vertex command', () => {
  it('gives help and version as results when they are asked for', async () => {
    const help = await vertex(['--help'])
    expect(help).toMatchObject({ exit: 0, stderr: '' })
    expect(help.stdout).toMatch(/serve[\s\S]*backup/)
    expect(await vertex(['backup', 'census', '--help'])).toMatchObject({ exit: 0, stderr: '' })
    expect(await vertex(['--version'])).toEqual({ exit: 0, stdout: '1.2.3\n', stderr: '' })
  })

  it('is a program as it was built', async () => {
    await buildOnce()
    const program = join(import.meta.dirname, '../../dist/cli/main.js')
    const { stdout } = await promisify(execFile)(program, ['--version'])
    expect(stdout).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+\n$/)
  })

  it('writes nothing of a server to a terminal that the terminal would act on', async () => {
    const keyFile = fileOf('k'.repeat(20))
    const said = { err_type: 'bad_request_params', err_msg: 'a\u001b]0;b\u0007\r\u009bc' }
    const refused = await vertex(census(keyFile, await answering(400, JSON.stringify(said))))
    expect(refused).toEqual({ exit: 1, stdout: '', stderr: 'vertex: a?]0;b???c\n' })
    const secret = {
      name: 'b\ngood  b',
      version: '\u001b[2J',
      fingerprint: '0',
      keys: 1,
      newest: true,
    }
    const counts = { none: 0, exported: 0, verified: 1, drilled: 0 }
    const found = JSON.stringify({ keys: [], next: null, counts, secrets: [secret] })
    const { stdout } = await vertex(census(keyFile, await answering(200, found)))
    expect(stdout).toContain('b?good  b ?[2J')
  })

  it.each([
    [[], 'a command is missing'],
    [['backup'], 'a command is missing'],
    [['nothing'], 'nothing'],
    [['backup', 'census'], '--key-file'],
    [['backup', 'census', '--key-file'], '--key-file'],
    [['backup', 'census', '--key-file', 'x', '--what'], '--what'],
    [['backup', 'census', '--key-file', 'x', 'more'], 'too many'],
    [['backup', 'census', '--key-file', '/nowhere/key'], 'ENOENT'],
  ])('ends with 2 and says why on stderr alone: %j', async (words, why) => {
    const plain = await vertex(words)
    expect(plain).toMatchObject({ exit: 2, stdout: '' })
    expect(plain.stderr).toMatch(/^vertex: [^\n]+\n$/)
    expect(plain.stderr).toContain(why)
    const json = await vertex([...words, '--json'])
    expect(json).toMatchObject({ exit: 2, stdout: '' })
    expect(JSON.parse(json.stderr)).toEqual({
      error: { code: expect.any(String) as string, message: expect.any(String) as string },
    })
  })
})

describe('vertex backup census', () => {
  it('counts keys by the state of their backup and by secret, of one user and of all', async () => {
    const { vertex: server, key, keyId } = party
    const mine = fileOf(`${key}\n`)
    expect((await vertex(census(mine, server.url))).stdout).toMatch(/1 {2}no backup/)
    const { body: backup } = await server.call('GET', `/ecdsa/backup/export-key-share/${keyId}`, {
      key,
    })
    await server.call('POST', '/ecdsa/backup/verify-key-share', { key, body: backup })

    const text = await vertex(census(mine, server.url))
    expect(text).toMatchObject({ exit: 0, stderr: '' })
    expect(text.stdout).toMatch(/1 {2}verified[\s\S]*backup secret[\s\S]*1 {2}.*newest\n$/)
    const { body } = await server.call('GET', '/backup/coverage', { key })
    const json = await vertex(census(mine, server.url, '--json'))
    expect(json.stdout.endsWith('}\n')).toBe(true)
    expect(JSON.parse(json.stdout)).toEqual({ counts: body.counts, secrets: body.secrets })

    const other = fileOf((await server.user()).key)
    const none = { none: 0, exported: 0, verified: 0, drilled: 0 }
    expect(JSON.parse((await vertex(census(other, server.url, '--json'))).stdout)).toEqual({
      counts: none,
      secrets: [],
    })
    const all = await vertex(census('-', server.url, '--json'), `${adminToken}\n`)
    expect(JSON.parse(all.stdout)).toMatchObject({ counts: { ...none, verified: 1 } })
  })

  it('says that the key is not accepted, and never which it was', async () => {
    const path = fileOf('vtx_not-a-key-of-anybody')
    const { exit, stdout, stderr } = await vertex(census(path, party.vertex.url, '--json'))
    expect([exit, stdout]).toEqual([77, ''])
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'access_denied' } })
    expect(stderr).not.toContain('not-a-key')
    const empty = await vertex(census(fileOf(' \n'), party.vertex.url))
    expect(empty).toMatchObject({ exit: 2, stdout: '' })
  })

  it('tells what may pass from what will not', async () => {
    const key = fileOf(party.key)
    const at = async (url: string) => (await vertex(census(key, url, '--json'))).exit
    expect(await at('http://127.0.0.1:1')).toBe(69)
    expect(await at(await answering(503, '{"err_type":"too_busy","err_msg":"later"}'))).toBe(69)
    expect(await at(await answering(429, '{"err_type":"rate_limited","err_msg":"later"}'))).toBe(69)
    expect(await at(await answering(502, '<html>'))).toBe(69)
    expect(await at(await answering(400, '{"err_type":"bad_request_params","err_msg":"no"}'))).toBe(
      1,
    )
    expect(await at(await answering(404, '<html>'))).toBe(1)
    // The key would travel in the clear.
    expect(await at('http://vertex.example')).toBe(2)
    expect(await at('ftp://127.0.0.1')).toBe(2)
  })
})
