import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  fromBase64,
  makeKeyInit,
  makeUid,
  newUidSecrets,
  sigKeyHash,
  type UidMessage,
} from '@vertex/directory/keyserver'
import { requestText } from './load.js'
import type { Measured, Race } from './measure.js'

const DOMAIN = 'mute.example'
/** Of a chain that is read. */
const ENTRIES = 100
/** Of one call, and kept of one name. */
const IN_A_CALL = 100
const OF_A_NAME = 400

const now = () => Math.floor(Date.now() / 1000)

const bodyOf = (method: string, params: object) =>
  JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 })

const post = (method: string, params: object) =>
  requestText('POST', '/', Buffer.from(bodyOf(method, params)), 'application/json')

async function call<T>(port: number, method: string, params: object): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: bodyOf(method, params),
  })
  const { result, error } = (await response.json()) as { result?: T; error?: { message: string } }
  if (result === undefined) throw new Error(error?.message ?? 'no answer')
  return result
}

const lastEntry = async (port: number) =>
  (await call<{ HCEntry: string }>(port, 'KeyHashchain.FetchLastHashChain', {})).HCEntry

/** A name that nobody has; without the signs that are mapped to others. */
const newName = () =>
  `n${randomBytes(12).toString('hex').replaceAll('0', 'x').replaceAll('1', 'y')}@${DOMAIN}`

function newMessage(entry: string, identity = newName()) {
  const secrets = newUidSecrets()
  const message = makeUid(secrets, { identity, lastEntry: entry, now: now() })
  return { secrets, message }
}

const create = (UIDMessage: UidMessage) => post('KeyRepository.CreateUID', { UIDMessage })

/** Requests that take a KeyInit each, of names that have left so many. */
async function fetches(port: number, count: number): Promise<readonly string[]> {
  const entry = await lastEntry(port)
  const requests: string[] = []
  while (requests.length < count) {
    const { secrets, message } = newMessage(entry)
    await call(port, 'KeyRepository.CreateUID', { UIDMessage: message })
    const SigPubKey = message.UIDContent.SIGKEY.PUBKEY
    const params = { SigKeyHash: sigKeyHash(fromBase64(SigPubKey)!) }
    for (let left = Math.min(OF_A_NAME, count - requests.length); left > 0; left -= IN_A_CALL) {
      const KeyInits = Array.from(
        { length: Math.min(left, IN_A_CALL) },
        () => makeKeyInit(secrets.sigKey, { repoUri: DOMAIN, now: now() }).keyInit,
      )
      await call(port, 'KeyInitRepository.AddKeyInit', { SigPubKey, KeyInits })
      requests.push(...KeyInits.map(() => post('KeyInitRepository.FetchKeyInit', params)))
    }
  }
  return requests
}

/** The chain, names that are registered, and keys that are given out once; and a name that all want at once. */
export const keyserver: Measured = {
  name: 'keyserver',
  flags: (folder) => ['--domain', DOMAIN, '--key', join(folder, 'keyserver.key')],
  prepare(count) {
    const some = Math.ceil(count / 8)
    return {
      before: [],
      ready: async (port) => {
        const entry = await lastEntry(port)
        for (let i = 1; i < ENTRIES; i++)
          await call(port, 'KeyRepository.CreateUID', { UIDMessage: newMessage(entry).message })
      },
      loads: [
        {
          name: 'last entry',
          requests: () => [post('KeyHashchain.FetchLastHashChain', {})],
          times: count,
        },
        {
          name: 'entries, 100',
          requests: () => [
            post('KeyHashchain.FetchHashChain', { StartPosition: 0, EndPosition: ENTRIES - 1 }),
          ],
          times: count,
        },
        {
          name: 'register',
          requests: async (port) => {
            const entry = await lastEntry(port)
            return Array.from({ length: some }, () => create(newMessage(entry).message))
          },
          times: 1,
        },
        { name: 'key init', requests: (port) => fetches(port, some), times: 1 },
      ],
    }
  },
  async race(rounds, writers, port): Promise<readonly Race[]> {
    const entry = await lastEntry(port)
    return Array.from({ length: rounds }, () => {
      const identity = newName()
      return Array.from({ length: writers }, () => create(newMessage(entry, identity).message))
    })
  },
  won: '200',
  lost: '200/-32002',
}
