import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { makeCertificates } from './key-vault/certificates.js'

/**
 * Azure's end of Blob Storage, on loopback over TLS under its real host name: what it takes of append blobs, and how it
 * refuses. https://learn.microsoft.com/rest/api/storageservices/append-block
 */
export interface BlobStore {
  readonly port: number
  /** PEM, for NODE_EXTRA_CA_CERTS. */
  readonly authority: string
  /** Append blobs by their path, such as `/container/2026-01-31.jsonl`. */
  readonly blobs: ReadonlyMap<string, string>
  /** What was asked, oldest first: `PUT /container/name?comp=appendblock`. */
  readonly requests: readonly string[]
  /** Answers everything with this status and code until told `undefined`. */
  fail(failure: { readonly status: number; readonly code: string } | undefined): void
  /** Called before a request is looked at. */
  before: (request: string) => void
  make(path: string): void
  close(): Promise<void>
}

export async function startBlobStore(host: string, token: string): Promise<BlobStore> {
  const tls = makeCertificates([host])
  const blobs = new Map<string, string>()
  const requests: string[] = []
  let failure: { readonly status: number; readonly code: string } | undefined

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    const { headers, method = '', url = '' } = request
    requests.push(`${method} ${url}`)
    store.before(requests.at(-1)!)
    const end = (status: number, code?: string) => {
      if (code !== undefined) response.setHeader('x-ms-error-code', code)
      response.writeHead(status).end()
    }
    const { pathname, search } = new URL(url, `https://${host}`)
    if (failure !== undefined) {
      if (failure.status === 307) response.setHeader('Location', `https://${host}:1/elsewhere`)
      end(failure.status, failure.code)
    } else if (headers.authorization !== `Bearer ${token}`) end(401, 'InvalidAuthenticationInfo')
    else if (headers['x-ms-version'] === undefined || headers['x-ms-date'] === undefined)
      end(400, 'MissingRequiredHeader')
    else if (headers['content-length'] === undefined) end(411, 'MissingContentLengthHeader')
    else if (method !== 'PUT') end(405, 'UnsupportedHttpVerb')
    else if (search === '?comp=appendblock') {
      const before = blobs.get(pathname)
      if (before === undefined) end(404, 'BlobNotFound')
      else {
        blobs.set(pathname, before + body)
        end(201)
      }
    } else if (headers['x-ms-blob-type'] !== 'AppendBlob' || body !== '') end(400, 'InvalidInput')
    // Without the condition it would empty what is there.
    else if (blobs.has(pathname) && headers['if-none-match'] === '*') end(409, 'BlobAlreadyExists')
    else {
      blobs.set(pathname, '')
      end(201)
    }
  }
  const server = createServer(
    { cert: tls.certificate, key: tls.key },
    (request, response) => void answer(request, response),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const store: BlobStore = {
    port: (server.address() as AddressInfo).port,
    authority: tls.authority,
    blobs,
    requests,
    fail: (given) => {
      failure = given
    },
    before: () => undefined,
    make: (path) => blobs.set(path, ''),
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return store
}
