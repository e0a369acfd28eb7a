import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { encodeAccount, encodeKeyPackage } from '@vertex/directory/keypackage'
import { requestText } from './load.js'
import type { Measured, Race } from './measure.js'

/** As long as a small MLS key package is: X25519, AES-128-GCM, SHA-256, Ed25519. */
const PACKAGE_BYTES = 331

const somebody = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(12))
  const signed = (payload: Uint8Array) => ({
    payload: Buffer.from(payload).toString('base64'),
    signature: sign(null, payload, privateKey).toString('base64'),
  })
  return { key, id: Buffer.from(key).toString('hex'), signed }
}
type Somebody = ReturnType<typeof somebody>

const post = (path: string, body: object) =>
  requestText('POST', path, Buffer.from(JSON.stringify(body)), 'application/json')

function bundleOf({ id, signed }: Somebody): string {
  const keyPackage = randomBytes(PACKAGE_BYTES)
  const payload = encodeKeyPackage({ timestampMs: BigInt(Date.now()), keyPackage })
  return post('/v0/keypackage', { device_id: id, ...signed(payload) })
}

function accountOf({ id, signed }: Somebody, device: Uint8Array): string {
  return post('/v0/account', {
    account_pub: id,
    ...signed(encodeAccount({ lamport: 1n, devices: [device] })),
  })
}

/** A bundle that is fetched, and bundles and accounts of their own that are published. */
export const keypackage: Measured = {
  name: 'keypackage',
  prepare(count) {
    const read = somebody()
    const some = Math.ceil(count / 8)
    const each = (make: (by: Somebody) => string) =>
      Array.from({ length: some }, () => make(somebody()))
    return {
      before: [bundleOf(read)],
      loads: [
        {
          name: 'fetch',
          requests: () => [requestText('GET', `/v0/keypackage/${read.id}`)],
          times: count,
        },
        { name: 'publish', requests: () => each(bundleOf), times: 1 },
        { name: 'account', requests: () => each((by) => accountOf(by, by.key)), times: 1 },
      ],
    }
  },
  /** Different lists of one account with one lamport: readers must not see now this one and now that. */
  race(rounds, writers): readonly Race[] {
    return Array.from({ length: rounds }, () => {
      const by = somebody()
      return Array.from({ length: writers }, () => accountOf(by, randomBytes(32)))
    })
  },
  won: '204',
  lost: '409',
}
