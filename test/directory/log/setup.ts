import { createHash } from 'node:crypto'
import { directoryTables } from '../../../src/compose/directory.js'
import { appendLeaf } from '../../../src/directory/log/leaves.js'
import { openStore, type Database, type OpenStore } from '../../../src/store/index.js'
import { clock, storageKey, testSeal } from '../../store/engines.js'

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
