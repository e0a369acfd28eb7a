import { randomBytes } from 'node:crypto'
import {
  decodeResponse,
  decodeShared,
  encodeFetchRequest,
  encodePayload,
  encodeShareRequest,
  fingerprintOf,
} from '@vertex/directory/share'
import { CONNECTIONS, requestText } from './load.js'
import type { Measured } from './measure.js'

const email = 'somebody@example.com'

/** Keys of somebody, published without a mail, to be fetched once. */
function published(): Uint8Array {
  const bytes = () => new Uint8Array(randomBytes(32))
  const keys = { publicKey: bytes(), signingKey: bytes() }
  const now = BigInt(Date.now())
  const payload = encodePayload({
    type: 'contact',
    identity: email,
    ...keys,
    fingerprint: fingerprintOf({ email, ...keys }),
    nonce: bytes(),
    createdAt: now,
    expiresAt: now + 900_000n,
  })
  return encodeShareRequest({ ttlSeconds: 900, maxFetches: 1, payload })
}

const post = (body: Uint8Array) =>
  requestText('POST', '/v1/share', body, 'application/octet-stream')

/** Codes of so many new shares. */
async function codesAt(port: number, count: number): Promise<string[]> {
  const codes: string[] = []
  let left = count
  const lane = async () => {
    while (left-- > 0) {
      const url = `http://127.0.0.1:${port}/v1/share`
      const response = await fetch(url, { method: 'POST', body: Buffer.from(published()) })
      const { status, body } = decodeResponse(new Uint8Array(await response.arrayBuffer()))
      if (status !== 0) throw new Error(`a share was answered with status ${status}`)
      codes.push(decodeShared(body).code)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  return codes
}

/** Shares that are published, and fetched for the only time; and one of them by all at once. */
export const share: Measured = {
  name: 'share',
  flags: () => ['--rate-limit-per-minute', '0'],
  prepare(count) {
    const some = Math.ceil(count / 8)
    return {
      before: [],
      loads: [
        {
          name: 'publish',
          requests: () => Array.from({ length: some }, () => post(published())),
          times: 1,
        },
        {
          name: 'fetch',
          requests: async (port) =>
            (await codesAt(port, some)).map((code) => post(encodeFetchRequest(code))),
          times: 1,
        },
      ],
    }
  },
  async race(rounds, writers, port) {
    const codes = await codesAt(port, rounds)
    return codes.map((code) =>
      Array.from({ length: writers }, () => post(encodeFetchRequest(code))),
    )
  },
  won: '200/0',
  lost: '200/5',
}
