import { createHash } from 'node:crypto'
import { openCheckpoint, verifierOf } from '@vertex/directory/log'
import { directoryTables } from '../../../src/compose/directory.js'
import { Appender, type AppenderParts, type LogEvent } from '../../../src/directory/log/appender.js'
import { appendLeaf } from '../../../src/directory/log/leaves.js'
import type { Get } from '../../../src/directory/log/published.js'
import { placeOf } from '../../../src/directory/log/place.js'
import { SignedLog } from '../../../src/directory/log/signed.js'
import { logSystem } from '../../../src/directory/log/system.js'
import { openStore, type Database, type OpenStore } from '../../../src/store/index.js'
import { clock, sql, storageKey, testSeal } from '../../store/engines.js'

export const open = (database: Database): Promise<OpenStore> =>
  openStore({ database, rowSeal: testSeal(storageKey), clock, more: directoryTables })

export const sha256 = (...parts: readonly (string | Uint8Array)[]): Uint8Array => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Writes so many entries, each in a unit of its own, as requests do. */
export async function appendSome(store: OpenStore, count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++)
    await store.inUnit((unit) =>
      appendLeaf(unit, {
        kind: 'sigchain-event',
        subject: `ed25519:${'0'.repeat(64)}`,
        source: `test/${i}`,
        digest: sha256(`event ${i}`),
        at: 1_700_000_000_000 + i,
      }),
    )
}

export const signer = {
  name: `vertex.test/log/${'1'.repeat(32)}`,
  seed: new Uint8Array(32).fill(11),
}
export const key = verifierOf(signer)

/** What an appender said. */
export interface Said {
  readonly events: LogEvent[]
}

export async function appenderOf(
  store: OpenStore,
  more: Partial<AppenderParts> = {},
): Promise<Appender & Said> {
  const { generation } = await store.run(({ meta }) => meta.get())
  const events: LogEvent[] = []
  const appender = new Appender({
    store,
    signer,
    generation,
    clock,
    mayWrite: () => true,
    log: (event) => events.push(event),
    ...more,
  })
  return Object.assign(appender, { events })
}

/** Asks the routes of the log as HTTP would. */
export function asking(store: OpenStore) {
  const { routes } = logSystem(new SignedLog(store, key))
  const handle = (path: string) => routes.find((route) => route.path === path)!.handle
  const ask = async (path: string, params: Record<string, unknown> = {}, query = '') => {
    const answer = await handle(path)({
      method: 'GET',
      source: '127.0.0.1',
      params: params as Record<string, string>,
      query,
      headers: {},
      body: new Uint8Array(),
      countWrite: () => Promise.resolve(),
    })
    const { body } = answer
    if (typeof body !== 'string' && !(body instanceof Uint8Array)) throw new Error('a stream')
    const bytes = new Uint8Array(typeof body === 'string' ? Buffer.from(body, 'utf8') : body)
    return { ...answer, bytes, text: Buffer.from(bytes).toString('utf8') }
  }
  const place = placeOf(key.name)
  const tile = (path: string) => ask('/log/:place/tile/*path', { place, path: path.split('/') })
  const get: Get = async (path) => {
    const answer = path === 'checkpoint' ? await ask('/log/checkpoint') : await tile(path.slice(5))
    return answer.status === 200 ? answer.bytes : undefined
  }
  const checkpoint = async () => openCheckpoint((await ask('/log/checkpoint')).text, key)!
  return { ask, tile, get, checkpoint }
}

/** Puts so many records into the audit log, whose text does not matter here. */
export const recordSome = (store: OpenStore, count: number): Promise<void> =>
  store.appendAudit((last) =>
    Array.from({ length: count }, (_, i) => {
      const seq = (last?.seq ?? 0) + i + 1
      return { seq, line: `record ${seq}` }
    }),
  )

/** Takes away what refuses to change an entry, as somebody who owns the database can. */
export async function unlock(database: Database): Promise<void> {
  const on = database.kind === 'sqlite' ? '' : ' ON log_leaves'
  for (const name of ['delete', 'change'])
    await sql(database, `DROP TRIGGER log_leaves_no_${name}${on}`)
}

export const blob = (database: Database, bytes: Uint8Array): string =>
  database.kind === 'sqlite' ? `x'${hex(bytes)}'` : `'\\x${hex(bytes)}'::bytea`
