// The life of a key, played with real parts: a server process, the SDK, a disk that is wiped.
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemoryShareStore, Vertex } from '@vertex/sdk'
import { createUser } from './admin.js'
import { freePort, startServer, type RunningServer } from './server.js'
import { Story } from './story.js'
import { verifiesWithOpenssl } from './verify.js'

const story = new Story()
const folder = mkdtempSync(join(tmpdir(), 'vertex-demo-'))
const dataDir = join(folder, 'data')
const adminToken = 'demo-admin-token-0123456789abcdef'
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const utf8 = (text: string) => new TextEncoder().encode(text)

let server: RunningServer | undefined
let vertex: Vertex | undefined
try {
  story.title('A Vertex comes up')
  const port = await freePort()
  const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
  const settings = { VERTEX_ADMIN_TOKEN: adminToken }
  const start = () => startServer({ program, folder, port, settings })
  server = await story.step(
    'start a Vertex (its own process, embedded database)',
    start,
    (started) =>
      `${started.url}, data in ${dataDir}\nbackup secret in ${join(folder, 'vertex-secret')}, outside the data`,
  )
  const { apiKey } = await story.step('make a user', () =>
    createUser(server!.url, adminToken, { name: 'alice' }),
  )

  story.title('A key is made, and never exists in one place')
  vertex = new Vertex({
    url: server.url,
    apiKey,
    store: new MemoryShareStore(),
    allowHttpOnLoopback: true,
  })
  let recoveries = 0
  vertex.on('recovered', () => recoveries++)
  const key = await story.step(
    "make a 2-of-2 key; export, verify and keep the backup of the server's share",
    () => vertex!.ecdsa.createKey(),
    (made) => `public key ${hex(made.publicKey)}\nkey_id     ${made.keyId}`,
  )
  const firstKeyId = key.keyId

  const signed: { message: string; der: Uint8Array }[] = []
  const sign = (title: string, message: string) =>
    story.step(
      title,
      async () => {
        const { der } = await key.sign({ message: utf8(message), hashAlgo: 'sha256' })
        if (!verifiesWithOpenssl(key.publicKey, utf8(message), der))
          throw new Error('OpenSSL refuses the signature')
        signed.push({ message, der })
        return der
      },
      (der) => `“${message}”\n${hex(der)}`,
    )
  await sign('sign with both shares', 'before the disaster')

  story.title('The disaster')
  const lost = filesBelow(dataDir)
  await story.step('kill -9 the Vertex and wipe its disk', async () => {
    await server!.kill()
    rmSync(dataDir, { recursive: true })
  })
  story.note(lost.map(({ name, bytes }) => `lost: ${name} (${bytes} bytes)`).join('\n'))

  story.title('Life goes on')
  server = await story.step('start a new, empty Vertex with the same backup secret', start)
  await sign('sign again: the same line of code, the same API key', 'after the disaster')
  await sign('and once more, now that all is well', 'as if nothing had happened')
  if (recoveries !== 1) throw new Error(`expected one recovery, saw ${recoveries}`)

  story.title('What happened')
  for (const { message, der } of signed)
    story.line(`verified by OpenSSL: “${message}” ${hex(der).slice(0, 24)}…`)
  story.line(`lost: the server, its database, users, API keys and its share of ${firstKeyId}`)
  story.line(`kept: the backup secret, and the client's share with the sealed backup beside it`)
  story.line(`recovered once, by itself: the share is now ${key.keyId}`)
  story.title('Timings')
  story.timings()
} catch (error) {
  process.exitCode = 1
  console.error(error)
  if (server !== undefined) console.error(`\nThe server said:\n${server.output()}`)
} finally {
  await vertex?.close()
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
}

function filesBelow(root: string): { name: string; bytes: number }[] {
  if (!existsSync(root)) return []
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => ({ name, stats: statSync(join(root, name)) }))
    .filter(({ stats }) => stats.isFile())
    .map(({ name, stats }) => ({ name, bytes: stats.size }))
}
