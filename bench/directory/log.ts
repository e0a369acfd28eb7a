import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { primaryOfSigner, signEvent, type Signer } from '@vertex/directory/sigchain'
import { requestText } from './load.js'
import type { Measured } from './measure.js'

/** Entries beside what a start records: more than one full tile. */
const ENTRIES = 300

/** Where this log is, once it is known: its tiles are under its own name. */
let place = ''

const asks = (path: string) => [requestText('GET', path)]

/** A log of some hundred entries, as a Vertex publishes it. */
export const log: Measured = {
  name: 'log',
  inVertex: true,
  prepare: (count) => ({
    before: Array.from({ length: ENTRIES }, () => {
      const signer: Signer = { scheme: 'ed25519', secret: randomBytes(32) }
      const path = `/v1/sigchains/${primaryOfSigner(signer).text.replace(':', '/')}/events`
      const createdAt = '2026-05-24T19:00:00Z'
      return requestText(
        'POST',
        path,
        signEvent(signer, undefined, { op: 'add', subject: 'github:jason', createdAt }).bytes,
      )
    }),
    async ready(port) {
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/log/checkpoint`)
        const [origin = '', size] = (await answer.text()).split('\n')
        place = origin.slice(origin.lastIndexOf('/'))
        if (Number(size) >= ENTRIES) return
        await sleep(100)
      }
    },
    loads: [
      { name: 'checkpoint', requests: () => asks('/log/checkpoint'), times: count },
      { name: 'full tile', requests: () => asks(`/log${place}/tile/0/000`), times: count },
      { name: '256 entries', requests: () => asks(`/log${place}/tile/entries/000`), times: count },
      {
        name: 'inclusion',
        requests: () => asks('/log/proof/inclusion?index=7&size=300'),
        times: count,
      },
      {
        name: 'consistency',
        requests: () => asks('/log/proof/consistency?from=133&to=300'),
        times: count,
      },
    ],
  }),
}
