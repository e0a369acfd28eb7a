import type { Clock } from '../vault/ports.js'
import { AnchorRefused, type AnchorPlace } from './anchoring.js'

/** A token of the machine's managed identity for one service. */
export type TokenFor = (scope: string) => Promise<string>

const SCOPE = 'https://storage.azure.com/.default'
const API_VERSION = '2023-11-03'

/**
 * Append blobs in Azure, a new one each day (UTC). To make one and to append to it an identity needs no right to
 * overwrite or to delete.
 * @param url https, of the container and perhaps a folder in it, without a slash at the end
 */
export function anchorBlob(url: string, tokenFor: TokenFor, clock: Clock): AnchorPlace {
  return {
    kind: 'blob',
    async append(line, signal) {
      const day = new Date(clock.now()).toISOString().slice(0, 10)
      const blob = `${url}/${day}.jsonl`
      const token = await tokenFor(SCOPE).catch((cause: unknown) => {
        throw new AnchorRefused('no_token', { cause })
      })
      const put = (to: string, headers: Readonly<Record<string, string>>, body: string) =>
        ask(to, { token, headers, body, signal })
      const append = () => put(`${blob}?comp=appendblock`, {}, `${line}\n`)
      let answer = await append()
      if (answer === 'BlobNotFound') {
        // Another server may make it at the same moment: whose it is does not matter.
        const made = await put(blob, { 'x-ms-blob-type': 'AppendBlob', 'If-None-Match': '*' }, '')
        if (made !== 'done' && made !== 'BlobAlreadyExists') throw new AnchorRefused(made)
        answer = await append()
      }
      if (answer !== 'done') throw new AnchorRefused(answer)
    },
  }
}

interface Asked {
  readonly token: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
}

/** `done`, or the code of the refusal. @throws AnchorRefused when there is no answer */
async function ask(url: string, { token, headers, body, signal }: Asked): Promise<string> {
  try {
    const response = await fetch(url, {
      method: 'PUT',
      headers: {
        Authorization: `Bearer ${token}`,
        'x-ms-version': API_VERSION,
        'x-ms-date': new Date().toUTCString(),
        'Content-Type': 'application/octet-stream',
        ...headers,
      },
      body,
      // A token must reach nobody else.
      redirect: 'error',
      signal,
    })
    await response.arrayBuffer()
    if (response.ok) return 'done'
    return codeFrom(response.headers.get('x-ms-error-code')) ?? `http_${response.status}`
  } catch (cause) {
    throw new AnchorRefused(signal.aborted ? 'timeout' : 'no_connection', { cause })
  }
}

/** Of what an answer says only a code gets into the log. */
const codeFrom = (text: string | null): string | undefined =>
  text !== null && /^[A-Za-z]{1,64}$/.test(text) ? text : undefined
