import { randomBytes } from 'node:crypto'
import { primaryOfSigner, signEvent, type Head, type Signer } from '@vertex/directory/sigchain'
import { requestText } from './load.js'
import type { Measured, Race } from './measure.js'

const createdAt = '2026-05-24T19:00:00Z'

const somebody = (): Signer => ({ scheme: 'ed25519', secret: randomBytes(32) })

const event = (signer: Signer, head: Head | undefined, subject = 'github:jason') =>
  signEvent(signer, head, { op: 'add', subject, createdAt })

const pathOf = (signer: Signer) => `/v1/sigchains/${primaryOfSigner(signer).text.replace(':', '/')}`

const firstOf = (signer: Signer) =>
  requestText('POST', `${pathOf(signer)}/events`, event(signer, undefined).bytes)

/** A chain of ten events that is read, and first events of chains of their own. */
export const sigchain: Measured = {
  name: 'sigchain',
  prepare(count) {
    const read = somebody()
    const chain: ReturnType<typeof event>[] = []
    for (let seq = 0; seq < 10; seq++) chain.push(event(read, chain.at(-1)?.event))
    return {
      before: chain.map(({ bytes }) => requestText('POST', `${pathOf(read)}/events`, bytes)),
      loads: [
        { name: 'healthz', requests: () => [requestText('GET', '/v1/healthz')], times: count },
        {
          name: 'head',
          requests: () => [requestText('GET', `${pathOf(read)}/head`)],
          times: count,
        },
        { name: 'chain of 10', requests: () => [requestText('GET', pathOf(read))], times: count },
        {
          name: 'event',
          requests: () => Array.from({ length: Math.ceil(count / 8) }, () => firstOf(somebody())),
          times: 1,
        },
      ],
    }
  },
  race(rounds, writers): readonly Race[] {
    return Array.from({ length: rounds }, () => {
      const signer = somebody()
      const rivals = Array.from({ length: writers }, (_, i) => event(signer, undefined, `a:${i}`))
      return rivals.map(({ bytes }) => requestText('POST', `${pathOf(signer)}/events`, bytes))
    })
  },
  won: '201',
  lost: '409',
}
