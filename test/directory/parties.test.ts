import { randomBytes } from 'node:crypto'
import { nativeSuite } from '@vertex/mpc/native'
import { primaryOfSigner, verifyChain, liveSubjects } from '@vertex/directory/sigchain'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { composeParty } from '../../src/compose/party.js'
import { eraseLeaf } from '../../src/directory/log/leaves.js'
import { NotPublished, publish } from '../../src/directory/sigchain/own.js'
import { ChainUnusable, Parties } from '../../src/directory/sigchain/parties.js'
import { envelopesOf } from '../../src/directory/sigchain/store.js'
import type { Database, OpenStore, UnitStore } from '../../src/store/index.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import { engines } from '../store/engines.js'
import { open } from './log/setup.js'
import { somebody, Writer } from './support.js'

describe.each(engines)('on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('a directory', () => {
    let database: Database
    let store: OpenStore
    beforeAll(async () => {
      database = await engine.create()
      store = await open(database)
    })
    afterAll(async () => {
      await store.close()
      await engine.cleanUp()
    })

    const parties = () => new Parties(store)

    describe('what speaks for a party', () => {
      it('is what it added and did not revoke since, the newest at the end', async () => {
        const a = new Writer(store)
        await a.add('recipient:1', 'keygen:1', 'recipient:2')
        await a.revoke('recipient:1')
        await a.add('recipient:3', 'recipient:1')
        expect(await parties().subjectsOf(a.primary)).toEqual({
          live: ['keygen:1', 'recipient:2', 'recipient:3', 'recipient:1'],
        })
      })

      it('is seen anew each time, from where it was checked before', async () => {
        const [a, reader] = [new Writer(store), parties()]
        await a.add('keygen:1')
        expect(await reader.subjectsOf(a.primary)).toEqual({ live: ['keygen:1'] })
        expect(await reader.subjectsOf(a.primary)).toEqual({ live: ['keygen:1'] })
        await a.revoke('keygen:1')
        await a.add('keygen:2')
        expect(await reader.subjectsOf(a.primary)).toEqual({ live: ['keygen:2'] })
      })

      it('is checked once for all who ask at one time, and each sees the end of the chain as it is then', async () => {
        const a = new Writer(store)
        await a.add('keygen:1', 'keygen:2', 'keygen:3')
        let read = 0
        const reader = new Parties({
          inUnit: (work) => store.inUnit(work),
          inLog: (work) => store.inLog(work),
          inChain: (work) => store.inChain(work),
          change: (sql, values) => store.change(sql, values),
          select: async (sql, values) => {
            const rows = await store.select(sql, values)
            if (sql.includes('seq > $3')) read += rows.length
            return rows
          },
        })
        const first = [reader.subjectsOf(a.primary), reader.subjectsOf(a.primary)]
        await a.revoke('keygen:1')
        const after = reader.subjectsOf(a.primary)
        await Promise.all(first)
        expect(await after).toEqual({ live: ['keygen:2', 'keygen:3'] })
        // Four events, and for the two that went on the one at which they did, with what came after it.
        expect(read).toBeLessThanOrEqual(7)
      })

      it('is not kept in memory where it is longer than anything that is asked for', async () => {
        const a = new Writer(store)
        const longest = `vertex:${'h'.repeat(253)}:65535`
        await a.add('keygen:1', 'x'.repeat(301), longest)
        const reader = parties()
        expect(await reader.subjectsOf(a.primary)).toEqual({ live: ['keygen:1', longest] })
        await a.revoke('x'.repeat(301))
        expect(await reader.subjectsOf(a.primary)).toEqual({ live: ['keygen:1', longest] })
      })

      it('is nothing without a chain, and nobody’s for what is no primary', async () => {
        expect(await parties().subjectsOf(new Writer(store).primary)).toEqual({
          problem: 'no_chain',
        })
        for (const bad of [
          '',
          'ed25519:',
          'ed25519:AB',
          `Ed25519:${'a'.repeat(64)}`,
          'github:jason',
        ])
          expect(parties().isPrimary(bad), bad).toBe(false)
        expect(parties().isPrimary(new Writer(store).primary)).toBe(true)
      })

      it('is no other chain’s', async () => {
        const [a, b] = [new Writer(store), new Writer(store)]
        await a.add('keygen:1')
        await b.add('keygen:2')
        expect(await parties().subjectsOf(b.primary)).toEqual({ live: ['keygen:2'] })
      })
    })

    describe('a chain that was written by somebody else, row by row', () => {
      it.each(['from its first event', 'after good ones', 'after ones that were checked before'])(
        'counts for nothing: forged %s',
        async (which) => {
          const [a, thief, reader] = [new Writer(store), somebody(), parties()]
          if (which !== 'from its first event') await a.add('keygen:1')
          if (which === 'after ones that were checked before') await reader.subjectsOf(a.primary)
          await a.forge(thief, 'keygen:2')
          expect(await reader.subjectsOf(a.primary)).toEqual({ problem: 'broken' })
        },
      )

      it('counts for nothing when an event was taken out of its middle', async () => {
        const a = new Writer(store)
        await a.add('keygen:1', 'keygen:2', 'keygen:3')
        await erase(a, 'seq = 1')
        expect(await parties().subjectsOf(a.primary)).toEqual({ problem: 'broken' })
      })

      it('counts for nothing when it is shorter than it was, or another one', async () => {
        const [a, reader] = [new Writer(store), parties()]
        await a.add('keygen:1')
        const { head } = a
        await a.revoke('keygen:1')
        expect(await reader.subjectsOf(a.primary)).toEqual({ live: [] })
        await erase(a, 'seq = 1')
        await store.inUnit((unit) => eraseLeaf(unit, 'sigchain-event', `${a.primary}/1`))
        expect(await reader.subjectsOf(a.primary)).toEqual({ problem: 'broken' })
        // Its owner signs another history: whoever saw the first one does not follow.
        a.head = head
        await a.add('keygen:2')
        expect(await reader.subjectsOf(a.primary)).toEqual({ problem: 'broken' })
        expect(await parties().subjectsOf(a.primary)).toEqual({ live: ['keygen:1', 'keygen:2'] })
      })

      const erase = (of: Writer, where: string) =>
        store.inUnit((unit) =>
          unit.verb((manager) =>
            manager.query(
              `DELETE FROM sigchain_events WHERE primary_id = '${primaryOfSigner(of.signer).id}' AND ${where}`,
            ),
          ),
        )
    })

    describe('a Vertex’s own chain', () => {
      const publishing = () => ({ store, parties: parties(), now: () => 5 })
      const say = (
        signer: ReturnType<typeof somebody>,
        subjects: readonly string[],
        begin = true,
      ) => publish(publishing(), { signer, subjects }, { begin })
      const linesOf = async (signer: ReturnType<typeof somebody>) => {
        let lines = ''
        for await (const page of envelopesOf(store, primaryOfSigner(signer)))
          lines += page.map((line) => `${line}\n`).join('')
        return lines
      }
      const liveOf = async (signer: ReturnType<typeof somebody>) => [
        ...liveSubjects(verifyChain(await linesOf(signer), primaryOfSigner(signer))).keys(),
      ]

      it('says what it should, and says it once', async () => {
        const me = somebody()
        expect(await say(me, ['keygen:1', 'vertex:a.example'])).toBe(2)
        expect(await say(me, ['keygen:1', 'vertex:a.example'])).toBe(0)
        expect(await liveOf(me)).toEqual(['keygen:1', 'vertex:a.example'])
      })

      it('follows what changes, and leaves alone what it did not say', async () => {
        const me = somebody()
        await say(me, ['keygen:1', 'vertex:a.example'])
        const outside = new Writer(store, me)
        outside.head = (await parties().checked(primaryOfSigner(me))).head
        await outside.add('dns:example.com', 'ed25519:0')
        expect(await say(me, ['keygen:1', 'vertex:b.example'])).toBe(3)
        expect(await liveOf(me)).toEqual(['keygen:1', 'dns:example.com', 'vertex:b.example'])
      })

      it('is the same again, byte for byte, on a database that has lost it', async () => {
        const me = somebody()
        await say(me, ['keygen:1', 'vertex:a.example'])
        const before = await linesOf(me)
        const other = await open(await engine.create())
        const again = { store: other, parties: new Parties(other), now: () => 9 }
        await publish(
          again,
          { signer: me, subjects: ['keygen:1', 'vertex:a.example'] },
          { begin: true },
        )
        let after = ''
        for await (const page of envelopesOf(other, primaryOfSigner(me)))
          after += page.map((line) => `${line}\n`).join('')
        await other.close()
        expect(after).toBe(before)
      })

      it('is not begun for an identity of before that had none', async () => {
        const me = somebody()
        expect(await say(me, ['ed25519:new'], false)).toBe(0)
        expect(await linesOf(me)).toBe('')
        await say(me, ['keygen:1'])
        expect(await say(me, ['ed25519:new'], false)).toBe(2)
        expect(await liveOf(me)).toEqual(['ed25519:new'])
      })

      it('is written once by servers that start at one time', async () => {
        const me = somebody()
        // On Postgres they are processes of their own; SQLite has one.
        const own = database.kind === 'postgres' ? [await open(database), await open(database)] : []
        const all = [store, store, ...own].map((one) => ({
          store: one,
          parties: new Parties(one),
          now: () => 5,
        }))
        const chain = { signer: me, subjects: ['keygen:1', 'vertex:a'] }
        const made = await Promise.all(all.map((one) => publish(one, chain, { begin: true })))
        await Promise.all(own.map((one) => one.close()))
        expect(made.toSorted()).toEqual([...all.slice(1).map(() => 0), 2])
        expect(await liveOf(me)).toEqual(['keygen:1', 'vertex:a'])
      })

      /** Readers of a chain that somebody goes on with whenever it was read. */
      const racing = (signer: ReturnType<typeof somebody>, times: number) => {
        const rival = new Writer(store, signer)
        const reader = parties()
        return Object.assign(reader, {
          checked: async (primary: Parameters<Parties['checked']>[0]) => {
            const chain = await Parties.prototype.checked.call(reader, primary)
            if (times-- > 0) await rival.add(`dns:${times}.example`)
            return chain
          },
        })
      }

      it('is read again when somebody else was first', async () => {
        const me = somebody()
        const own = { store, parties: racing(me, 4), now: () => 5 }
        const chain = { signer: me, subjects: ['keygen:1'] }
        expect(await publish(own, chain, { begin: true })).toBe(1)
        expect(await liveOf(me)).toContain('keygen:1')
      })

      it('is left to those who are always first', async () => {
        const me = somebody()
        const own = { store, parties: racing(me, 100), now: () => 5 }
        const chain = { signer: me, subjects: ['keygen:1'] }
        await expect(publish(own, chain, { begin: true })).rejects.toThrow(NotPublished)
        expect(await liveOf(me)).not.toContain('keygen:1')
      })

      it('says nothing a fourth time that was taken back three times', async () => {
        const me = somebody()
        const here = () => say(me, ['keygen:1', 'vertex:a.example'])
        for (const events of [2, 1, 1]) {
          expect(await here()).toBe(events)
          expect(await say(me, ['keygen:1'])).toBe(1)
        }
        const before = await linesOf(me)
        await expect(here()).rejects.toThrow(/vertex:a\.example.*VERTEX_PUBLIC_HOST/)
        expect(await linesOf(me)).toBe(before)
        // What was not said so often is not held back by it.
        expect(await say(me, ['keygen:1', 'vertex:b.example'])).toBe(1)
      })

      it('is left as it is when somebody forged it', async () => {
        const [me, thief] = [somebody(), somebody()]
        await new Writer(store, me).forge(thief, 'keygen:9')
        await expect(say(me, ['keygen:1'])).rejects.toThrow(ChainUnusable)
        expect((await linesOf(me)).split('\n')).toHaveLength(2)
      })
    })

    describe('a vault', () => {
      const secrets = () => ({
        seed: new Uint8Array(randomBytes(32)),
        keygenSecret: new Uint8Array(randomBytes(32)),
      })
      type Secrets = ReturnType<typeof secrets>
      const started = async (
        all: readonly [Secrets, ...Secrets[]],
        config: { directory?: boolean; publicHost?: string } = {},
        on: UnitStore = store,
      ) => {
        const notes: string[] = []
        const party = composeParty(
          { directory: true, publicHost: undefined, ...config },
          nativeSuite(),
          on,
          all,
          (level, text) => notes.push(`${level}: ${text}`),
          undefined,
        )
        await party.publish()
        return { ...party.directory.own, notes }
      }
      const liveOf = (primary: string) => parties().subjectsOf(primary)

      it('that has another backup secret says so on the chain it had before', async () => {
        const [old, newer] = [secrets(), secrets()]
        const before = await started([old], { publicHost: 'a.example' })
        const keygen = `keygen:${before.persistentKeygenId}`
        expect(await liveOf(before.primary)).toEqual({ live: [keygen, 'vertex:a.example'] })
        const after = await started([newer, old], { publicHost: 'a.example' })
        expect(after.primary).not.toBe(before.primary)
        expect(after.persistentKeygenId).not.toBe(before.persistentKeygenId)
        expect(await liveOf(after.primary)).toEqual({
          live: [`keygen:${after.persistentKeygenId}`, 'vertex:a.example'],
        })
        expect(await liveOf(before.primary)).toEqual({ live: [after.primary] })
        // The newer version is disabled: the older one is who this vault is, again.
        await started([old])
        expect(await liveOf(before.primary)).toEqual({ live: [keygen] })
      })

      it.each(['hosts', 'secrets'])(
        'that is set up with other %s by each of its servers stops writing',
        async (what) => {
          const [old, newer] = [secrets(), secrets()]
          const servers: (() => ReturnType<typeof started>)[] =
            what === 'hosts'
              ? ['a.example', 'b.example'].map((publicHost) => () => started([old], { publicHost }))
              : [() => started([newer, old]), () => started([old])]
          const primary = primaryOfSigner({ scheme: 'ed25519', secret: old.seed })
          await started([old])
          const ends: (number | undefined)[] = []
          const warned: string[] = []
          for (let turn = 0; turn < 12; turn++) {
            warned.push(...(await servers[turn % 2]!()).notes)
            ends.push((await parties().checked(primary)).head?.seq)
          }
          // The last ones have found it as the ones before left it.
          expect(new Set(ends.slice(6)).size).toBe(1)
          expect(ends[0]).toBeLessThan(ends[4]!)
          expect(warned).toContainEqual(
            expect.stringMatching(/^warn: .* is left as it is: .*set up differently/),
          )
          expect((await parties().checked(primary)).live).toHaveLength(what === 'hosts' ? 2 : 1)
        },
      )

      it('says nothing on a chain that it never began, nor with the directory switched off', async () => {
        const [old, newer] = [secrets(), secrets()]
        await started([newer, old])
        const never = await started([old], { directory: false })
        expect(await liveOf(never.primary)).toEqual({ problem: 'no_chain' })
      })

      it('starts where its chain cannot be written just then, and warns of it', async () => {
        const away: UnitStore = {
          inUnit: () => Promise.reject(new StorageUnavailable()),
          inLog: (work) => store.inLog(work),
          select: (sql, values) => store.select(sql, values),
          change: () => Promise.reject(new StorageUnavailable()),
          inChain: () => Promise.reject(new StorageUnavailable()),
        }
        const mine = secrets()
        const { primary, notes } = await started([mine], {}, away)
        expect(notes).toEqual([
          `warn: the sigchain of ${primary} is left as it is: the database is not available`,
        ])
        expect(await liveOf(primary)).toEqual({ problem: 'no_chain' })
        expect((await started([mine])).notes).toEqual([])
        expect(await liveOf(primary)).toMatchObject({ live: [expect.stringMatching(/^keygen:/)] })
      })

      it('starts with a chain that somebody forged, and warns of it', async () => {
        const mine = secrets()
        const chain = new Writer(store, { scheme: 'ed25519', secret: mine.seed })
        await chain.forge(somebody(), 'keygen:9')
        const { primary, notes } = await started([mine])
        expect(notes).toEqual([
          `warn: the sigchain of ${primary} is left as it is: the chain is broken`,
        ])
      })
    })
  })
})
