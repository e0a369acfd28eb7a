import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { errorCode } from '../error-code.js'
import type { TlsFiles } from './server.js'

/** The certificate or its key cannot be used; the message names the setting. */
export class TlsError extends Error {
  override readonly name = 'TlsError'
}

/** Reads a certificate and its key and checks that they belong together. @throws TlsError */
export async function readTlsFiles(certFile: string, keyFile: string): Promise<TlsFiles> {
  const cert = await read('VERTEX_TLS_CERT_FILE', certFile)
  const key = await read('VERTEX_TLS_KEY_FILE', keyFile)
  try {
    createSecureContext({ cert, key, minVersion: 'TLSv1.3' })
  } catch {
    throw new TlsError(
      'VERTEX_TLS_CERT_FILE and VERTEX_TLS_KEY_FILE must be a certificate and its own key, both PEM',
    )
  }
  return { cert, key }
}

async function read(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const code = errorCode(error) ?? 'unknown'
    throw new TlsError(`${setting}: ${path} cannot be read (${code})`)
  }
}
