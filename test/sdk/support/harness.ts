import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryShareStore, Vertex, type VertexOptions } from '@vertex/sdk'
import { startServer, type ServerOptions, type TestServer } from '../../support/server.js'

export const utf8 = (text: string) => new TextEncoder().encode(text)
export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** Servers, clients and a folder that end with the test file. */
export class Harness {
  readonly folder = mkdtempSync(join(tmpdir(), 'vertex-sdk-'))
  readonly #servers: TestServer[] = []
  readonly #clients: Vertex[] = []
  #users = 0

  async server(name: string, options: Partial<ServerOptions> = {}): Promise<TestServer> {
    const server = await startServer({ folder: join(this.folder, name), ...options })
    this.#servers.push(server)
    return server
  }

  /** A client with a user of its own, unless an API key is given. */
  async client(server: TestServer, options: Partial<VertexOptions> = {}): Promise<Vertex> {
    const vertex = new Vertex({
      url: server.url,
      apiKey: options.apiKey ?? (await server.createUser(`user ${++this.#users}`)),
      store: new MemoryShareStore(),
      allowHttpOnLoopback: true,
      ...options,
    })
    this.#clients.push(vertex)
    return vertex
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all(this.#servers.map((server) => server.kill()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}
