// A process that stores idle keys: in the tables of the store, each value sealed for its own row as the store seals it.
import { randomBytes, randomUUID } from 'node:crypto'
import { bytesToHex, encodeKeyShare, encodePairSetup, wipe } from '@vertex/mpc'
import { serveTasks } from './child.js'
import { keygenWithSetups, suites } from './protocol.js'

/** Keys in one statement for each table, and statements in one transaction. */
const ROWS = 100
const STATEMENTS = 20

const built = async <Module>(path: string): Promise<Module> =>
  (await import(new URL(`../../dist/${path}.js`, import.meta.url).href)) as Module

const { takeConfig } = await built<typeof import('../src/config.js')>('config')
const seal = await built<typeof import('../src/seal/index.js')>('seal/index')
const { openEngine, openStore } = await built<typeof import('../src/store/open.js')>('store/open')
const { Sealer } = await built<typeof import('../src/store/sealer.js')>('store/sealer')

interface Fill {
  /** The working directory of a stopped server on the embedded database. */
  readonly folder: string
  readonly userId: string
  readonly count: number
}

/** Each key has its share, its handle and its OT setup, with values of the true form and length. */
async function fill({ folder, userId, count }: Fill): Promise<void> {
  process.chdir(folder)
  const { storageKey, vaultName, database } = takeConfig({ VERTEX_DATA_DIR: 'data' })
  const { bytes } = await seal.loadNewest(seal.secretSource(storageKey, () => undefined))
  const rowSeal = seal.rowSeal(new seal.StorageKey(bytes, vaultName))
  wipe(bytes)
  const makeRows = rowMaker(new Sealer(rowSeal), userId)

  let last: ReturnType<typeof makeRows> | undefined
  const engine = await openEngine(database)
  try {
    for (let done = 0; done < count;)
      await engine.dataSource.transaction(async (manager) => {
        for (let i = 0; i < STATEMENTS && done < count; i++) {
          const rows = Array.from({ length: Math.min(ROWS, count - done) }, makeRows)
          await manager.insert(
            'shares',
            rows.map(({ share }) => share),
          )
          await manager.insert(
            'key_handles',
            rows.map(({ handle }) => handle),
          )
          await manager.insert(
            'ot_setups',
            rows.map(({ setup }) => setup),
          )
          done += rows.length
          last = rows.at(-1)
        }
      })
  } finally {
    await engine.close()
  }

  // What the store cannot open would be no key to it.
  const { share, handle, setup } = last!
  const store = await openStore({ database, rowSeal, clock: { now: Date.now } })
  try {
    await store.run(async (uow) => {
      const key = await uow.handles.find(userId, handle.keyId)
      const opened = await uow.shares.open(userId, share.shareId)
      const found = await uow.setups.load(share.shareId, setup.peer)
      if (key === undefined || opened === undefined || found === undefined)
        throw new Error('the store does not find a key that was filled in')
    })
  } finally {
    await store.close()
  }
}

function rowMaker(sealer: InstanceType<typeof Sealer>, userId: string) {
  const { shares, setups } = keygenWithSetups(suites.native(), 2, 2)
  const [party, keyShare] = [...shares][0]!
  const [peer, pairSetup] = [...setups.get(party)!][0]!
  const record = encodeKeyShare(keyShare)
  const setupRecord = encodePairSetup(pairSetup)
  const { epoch } = keyShare
  const keygenId = bytesToHex(keyShare.keygenIds[party - 1]!)
  const hex = (length: number) => randomBytes(length).toString('hex')
  const provenance = 'generated'
  return () => {
    const [shareId, publicKey, setupId] = [hex(16), `02${hex(32)}`, hex(32)]
    const at = Date.now()
    const identity = [shareId, userId, publicKey, party, epoch, provenance]
    return {
      share: {
        shareId,
        userId,
        publicKey,
        party,
        epoch,
        threshold: 2,
        parties: 2,
        keygenId,
        provenance,
        record: sealer.seal('shares', 'record', identity, record),
        createdAt: at,
        confirmedAt: at,
      },
      handle: { keyId: randomUUID(), userId, shareId, sourceDigest: null, createdAt: at },
      setup: {
        setupId,
        shareId,
        peer,
        record: sealer.seal('ot_setups', 'record', [setupId, shareId, peer], setupRecord),
        createdAt: at,
        supersededAt: null,
        retiredAt: null,
      },
    }
  }
}

serveTasks({ fill })
