import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { primaryOfSigner, verifyChain, liveSubjects } from '@vertex/directory/sigchain'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eraseLeaf } from '../../src/directory/log/leaves.js'
import { publish } from '../../src/directory/sigchain/own.js'
import { ChainUnusable, Parties } from '../../src/directory/sigchain/parties.js'
import { envelopesOf } from '../../src/directory/sigchain/store.js'
import type { OpenStore } from '../../src/store/index.js'
import { open } from './log/setup.js'
import { somebody, Writer } from './support.js'

let folder: string
let store: OpenStore
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-parties-'))
  store = await open({ kind: 'sqlite', dataDir: join(folder, 'data') })
})
afterAll(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
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

  it('is nothing without a chain, and nobody’s for what is no primary', async () => {
    expect(await parties().subjectsOf(new Writer(store).primary)).toEqual({ problem: 'no_chain' })
    for (const bad of ['', 'ed25519:', 'ed25519:AB', `Ed25519:${'a'.repeat(64)}`, 'github:jason'])
      expect(await parties().subjectsOf(bad), bad).toEqual({ problem: 'no_primary' })
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
  const say = (signer: ReturnType<typeof somebody>, subjects: readonly string[], begin = true) =>
    publish(publishing(), { signer, subjects }, { begin })
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
    const other = await open({ kind: 'sqlite', dataDir: join(folder, 'other') })
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
    const made = await Promise.all([1, 2, 3, 4].map(() => say(me, ['keygen:1', 'vertex:a'])))
    expect(made.toSorted()).toEqual([0, 0, 0, 2])
    expect(await liveOf(me)).toEqual(['keygen:1', 'vertex:a'])
  })

  it('is left as it is when somebody forged it', async () => {
    const [me, thief] = [somebody(), somebody()]
    await new Writer(store, me).forge(thief, 'keygen:9')
    await expect(say(me, ['keygen:1'])).rejects.toThrow(ChainUnusable)
    expect((await linesOf(me)).split('\n')).toHaveLength(2)
  })
})
