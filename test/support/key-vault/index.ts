import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttp, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificates } from './certificates.js'
import { ManagedIdentity } from './managed-identity.js'
import { SecretsApi } from './secrets-api.js'

const DOMAINS = ['vault.azure.net', 'vault.azure.cn', 'vault.usgovcloudapi.net']

/**
 * Azure's end of a key vault, on loopback: Key Vault over TLS under its real host names, the managed identity's
 * endpoint, and the proxy that leads the one to the other. A process started with `env` runs its production code
 * unchanged. `env` must be set from the start of that process: Node reads its extra authorities only then.
 */
export interface KeyVault {
  readonly env: Readonly<Record<string, string>>
  /** What was asked, oldest first: `GET myvault/secrets/name/versions`, `identity client_id`, `CONNECT host`. */
  readonly requests: readonly string[]
  /** Adds a version, which becomes the current one. @returns its id */
  setSecret(vault: string, name: string, value: string, options?: { created?: number }): string
  disable(vault: string, name: string, version: string): void
  enable(vault: string, name: string, version: string): void
  /** Answers the next `times` requests with 429; `retryAfter` is the header's value. */
  throttle(times: number, retryAfter?: string | number): void
  /** Answers every request so much later. */
  delay(ms: number): void
  /** Answers every request with this status until told `undefined`. */
  fail(status: number | undefined): void
  /** Refuses every connection to a key vault until told otherwise. */
  refuse(refusing: boolean): void
  /** The managed identity is not there, until told otherwise. */
  refuseIdentity(refusing: boolean): void
  /** From now on the identity's token for this resource is this one. */
  fixToken(resource: string, token: string, lifetimeS?: number): void
  close(): Promise<void>
}

export async function startKeyVault(): Promise<KeyVault> {
  const requests: string[] = []
  const identity = new ManagedIdentity(requests)
  const api = new SecretsApi(requests, (token) => identity.knows(token))
  const tls = makeCertificates(DOMAINS.map((domain) => `*.${domain}`))

  const secrets = createHttps({ cert: tls.certificate, key: tls.key }, api.handle)
  const identityServer = createHttp(identity.handle)
  const proxy = createHttp((_, response) => response.writeHead(403).end())
  // Once connected through, a socket is no longer one that the server knows and closes.
  const sockets = new Set<Socket>()
  proxy.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  let refusing = false
  proxy.on('connect', (request, client) => {
    requests.push(`CONNECT ${request.url ?? ''}`)
    const known = DOMAINS.some((domain) => request.url?.endsWith(`.${domain}:443`))
    if (refusing || !known) {
      client.destroy()
      return
    }
    const server = connect(port(secrets), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      server.pipe(client)
      client.pipe(server)
    })
    server.on('error', () => client.destroy())
    client.on('error', () => server.destroy())
    client.on('close', () => server.destroy())
  })
  await Promise.all([secrets, identityServer, proxy].map(listening))

  const directory = mkdtempSync(join(tmpdir(), 'vertex-key-vault-'))
  const authorityFile = join(directory, 'authority.pem')
  writeFileSync(authorityFile, tls.authority)

  return {
    env: {
      NODE_EXTRA_CA_CERTS: authorityFile,
      HTTPS_PROXY: `http://127.0.0.1:${port(proxy)}`,
      NO_PROXY: '127.0.0.1,localhost,169.254.169.254',
      IDENTITY_ENDPOINT: `http://127.0.0.1:${port(identityServer)}/msi/token`,
      IDENTITY_HEADER: identity.header,
    },
    requests,
    setSecret: (vault, name, value, options) => api.set(vault, name, value, options?.created),
    disable: (vault, name, version) => {
      api.version(vault, name, version).enabled = false
    },
    enable: (vault, name, version) => {
      api.version(vault, name, version).enabled = true
    },
    throttle: (times, retryAfter) => {
      api.throttled = { times, retryAfter: retryAfter?.toString() }
    },
    delay: (ms) => {
      api.delayMs = ms
    },
    fail: (status) => {
      api.failure = status
    },
    refuse: (on) => {
      refusing = on
      if (on) secrets.closeAllConnections()
    },
    refuseIdentity: (on) => {
      identity.refusing = on
    },
    fixToken: (resource, token, lifetimeS) => identity.fix(resource, token, lifetimeS),
    async close() {
      rmSync(directory, { recursive: true, force: true })
      for (const socket of sockets) socket.destroy()
      await Promise.all([secrets, identityServer, proxy].map(closed))
    },
  }
}

function port(server: Server): number {
  return (server.address() as AddressInfo).port
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
