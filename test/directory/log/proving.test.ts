import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeAccount } from '@vertex/directory/keypackage'
import {
  decodeExtra,
  encodeEntry,
  leafHash,
  openCheckpoint,
  parseLogProof,
  parseVerifierKey,
  subjectHash,
  verifyInclusion,
  type EntryKind,
  type VerifierKey,
} from '@vertex/directory/log'
import { primaryOfSigner, signEvent, type CheckedEvent } from '@vertex/directory/sigchain'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { withProofs } from '../../../src/directory/log/proving.js'
import { SignedLog } from '../../../src/directory/log/signed.js'
import { sigchainSystem } from '../../../src/directory/sigchain/system.js'
import { engines, sql } from '../../store/engines.js'
import { startServer } from '../../support/server.js'
import { signer as accountSigner } from '../keypackage/registry.js'
import { appenderOf, key, open, sha256 } from './setup.js'

vi.setConfig({ testTimeout: 120_000 })

const HEADER = 'x-vertex-log-proof'
const me = { scheme: 'ed25519', secret: new Uint8Array(32).fill(9) } as const
const primary = primaryOfSigner(me)
const eventAfter = (head: CheckedEvent | undefined) =>
  signEvent(me, head, { op: 'add', subject: 'device:1', createdAt: '2026-05-24T19:00:00Z' })
const digestOf = ({ hash }: CheckedEvent) => Buffer.from(hash.slice('sha256:'.length), 'hex')

/** As somebody who has the record, the header and the log's key, and asks nobody. */
function isProven(
  header: string,
  by: VerifierKey,
  record: { kind: EntryKind; subject: string; digest: Uint8Array },
): boolean {
  const text = Buffer.from(header, 'base64').toString('utf8')
  const proof = parseLogProof(text)!
  const signed = openCheckpoint(text.slice(text.indexOf('\n\n') + 2), by)!
  const { salt, time } = decodeExtra(proof.extra)!
  const subject = subjectHash(record.kind, salt, record.subject)
  const leaf = leafHash(encodeEntry({ ...record, subject, time }))
  return verifyInclusion(leaf, proof.index, signed.size, proof.hashes, signed.root)
}

const eventRecord = (event: CheckedEvent) =>
  ({ kind: 'sigchain-event', subject: primary.text, digest: digestOf(event) }) as const

describe('an answer of a Vertex with ?proof=1', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-proving-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('carries the proof of its record, and is otherwise the documented one', async () => {
    const server = await startServer({ folder })
    try {
      const by = parseVerifierKey((await (await fetch(`${server.url}/log/key`)).text()).trim())!
      const ask = async (path: string, init?: RequestInit) => {
        const answer = await fetch(`${server.url}${path}`, init)
        const { status, headers } = answer
        const more = [...headers].filter(
          ([name]) => !['date', 'x-request-id', HEADER].includes(name),
        )
        return { status, more, body: await answer.text(), proof: headers.get(HEADER) }
      }
      const chain = `/v1/sigchains/${primary.scheme}/${primary.id}`
      const [first, second] = [eventAfter(undefined), eventAfter(eventAfter(undefined).event)]
      const send = (bytes: Uint8Array) => ({ method: 'POST', body: Buffer.from(bytes) })
      const plain = await ask(`${chain}/events`, send(first.bytes))
      expect(plain).toMatchObject({ status: 201, proof: null })
      const posted = await ask(`${chain}/events?proof=1`, send(second.bytes))
      expect(posted).toMatchObject({
        status: 201,
        body: JSON.stringify({ seq: 1, hash: second.event.hash }),
      })
      expect(posted.more).toEqual(plain.more)
      expect(isProven(posted.proof!, by, eventRecord(second.event))).toBe(true)
      expect(isProven(posted.proof!, by, eventRecord(first.event))).toBe(false)

      const alice = accountSigner(1)
      const bundle = alice.account(encodeAccount({ lamport: 7n, devices: [alice.seed] }))
      const published = await ask('/v0/account?proof=1', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(bundle),
      })
      expect(published).toMatchObject({ status: 204, body: '' })
      const account = {
        kind: 'account-bundle',
        subject: alice.id,
        digest: sha256(
          Buffer.from(bundle.payload, 'base64'),
          Buffer.from(bundle.signature, 'base64'),
        ),
      } as const
      expect(isProven(published.proof!, by, account)).toBe(true)

      for (const [path, record] of [
        [`${chain}/head`, eventRecord(second.event)],
        [`/v0/account/${alice.id}`, account],
      ] as const) {
        const without = await ask(path)
        const { proof, ...answer } = await ask(`${path}?proof=1`)
        expect({ ...answer, proof: null }).toEqual(without)
        expect(isProven(proof!, by, record)).toBe(true)
        for (const query of ['proof=0', 'proof', 'prove=1'])
          expect(await ask(`${path}?${query}`)).toEqual(without)
      }
      const head = await ask(`${chain}/head?proof=1`, { method: 'HEAD' })
      expect(isProven(head.proof!, by, eventRecord(second.event))).toBe(true)
      // What is not about one record, or about none.
      for (const path of [chain, '/v1/healthz', `/v1/sigchains/ed25519/${'1'.repeat(64)}/head`])
        expect(await ask(`${path}?proof=1`)).toEqual(await ask(path))
      const origin = await fetch(`${server.url}${chain}/head?proof=1`, {
        headers: { Origin: 'https://a.example' },
      })
      expect(origin.headers.get('access-control-expose-headers')).toContain('X-Vertex-Log-Proof')
    } finally {
      await server.stop()
    }
  })
})

describe.each(engines)('a proof that is asked for on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('', () => {
    afterAll(() => engine.cleanUp())

    it('is left out while no checkpoint has the record, and where the log is broken', async () => {
      const database = await engine.create()
      const store = await open(database)
      const system = withProofs(
        sigchainSystem(store, () => 1),
        new SignedLog(store, key),
      )
      const ask = (route: number, body: Uint8Array = new Uint8Array()) =>
        system.routes[route]!.handle({
          method: system.routes[route]!.method.toUpperCase(),
          source: '127.0.0.1',
          countWrite: () => Promise.resolve(),
          params: { scheme: primary.scheme, id: primary.id },
          query: 'proof=1',
          headers: {},
          body,
        })
      const HEAD = system.routes.findIndex(({ path }) => path.endsWith('/head'))
      const EVENTS = system.routes.findIndex(({ path }) => path.endsWith('/events'))
      const { bytes, event } = eventAfter(undefined)
      expect(await ask(EVENTS, bytes)).toMatchObject({ status: 201 })
      const early = await ask(HEAD)
      expect([early.status, early.headers]).toEqual([200, undefined])
      const appender = await appenderOf(store)
      await appender.turn()
      const proven = await ask(HEAD)
      expect(isProven(proven.headers!['X-Vertex-Log-Proof']!, key, eventRecord(event))).toBe(true)
      // An older checkpoint does not have the next one.
      expect((await ask(EVENTS, eventAfter(event).bytes)).headers).toBeUndefined()
      await appender.turn()
      expect((await ask(HEAD)).headers).toBeDefined()
      await sql(database, 'DELETE FROM log_tiles')
      const broken = await ask(HEAD)
      expect([broken.status, broken.body, broken.headers]).toEqual([
        200,
        (await ask(HEAD)).body,
        undefined,
      ])
      await store.close()
    })
  })
})
