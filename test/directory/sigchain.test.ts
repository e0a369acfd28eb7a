import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeEntry } from '@vertex/directory/log'
import { verifyChain, type Head, type Signer } from '@vertex/directory/sigchain'
import {
  alice,
  altered,
  bob,
  chainOf,
  hashOf,
  next,
  nora,
  primary,
  signedUnhashed,
  textOf,
} from '../../directory/test/sigchain/make.js'
import { createLogger, serveSystem, type DirectoryServer } from '../../src/compose/index.js'
import type { Database } from '../../src/store/index.js'
import { engines, sql } from '../store/engines.js'

const logger = createLogger('silent')

/** Anybody who has no chain yet. */
const somebody = (): Signer => ({
  scheme: 'ed25519',
  secret: crypto.getRandomValues(new Uint8Array(32)),
})

const pathOf = (signer: Signer) => `/v1/sigchains/${primary(signer).text.replace(':', '/')}`

describe.each(engines)('the sigchain server on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('over HTTP', () => {
    let database: Database
    let server: DirectoryServer
    beforeAll(async () => {
      database = await engine.create()
      server = await serveSystem('sigchain', { host: '127.0.0.1', port: 0, database }, logger)
    })
    afterAll(async () => {
      await server.stop()
      await engine.cleanUp()
    })

    async function ask(path: string, init?: RequestInit) {
      const response = await fetch(server.url + path, init)
      const body = Buffer.from(await response.arrayBuffer())
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        body,
        text: body.toString(),
      }
    }
    const post = (signer: Signer, body: Uint8Array | string) =>
      ask(`${pathOf(signer)}/events`, { method: 'POST', body: body as Uint8Array<ArrayBuffer> })
    const refused = async (answer: ReturnType<typeof ask>, status: number, code: string) => {
      const got = await answer
      expect([got.status, got.type]).toEqual([status, 'application/json'])
      expect(JSON.parse(got.text)).toEqual({
        error: { code, message: expect.stringMatching(/./) as string },
      })
      return (JSON.parse(got.text) as { error: { message: string } }).error.message
    }
    /** Posts a chain of so many events. */
    async function publish(signer: Signer, length: number) {
      const chain = chainOf(signer, length)
      for (const { bytes } of chain) expect((await post(signer, bytes)).status).toBe(201)
      return chain
    }

    describe('the ten scenarios of its document', () => {
      it('healthz_returns_ok', async () => {
        const got = await ask('/v1/healthz')
        expect(got).toMatchObject({ status: 200, text: '{"status":"ok"}' })
      })

      it('empty_chain_returns_404', async () => {
        await refused(ask(pathOf(somebody())), 404, 'not_found')
        await refused(ask(`${pathOf(somebody())}/head`), 404, 'not_found')
      })

      it('post_then_get_round_trip', async () => {
        const me = somebody()
        const { bytes } = next(me, undefined)
        const posted = await post(me, bytes)
        expect(posted).toMatchObject({ status: 201, type: 'application/json' })
        expect(posted.text).toBe(JSON.stringify({ seq: 0, hash: hashOf(bytes) }))
        const got = await ask(pathOf(me))
        expect(got).toMatchObject({
          status: 200,
          type: 'application/jsonl',
          text: `${textOf(bytes)}\n`,
        })
      })

      it('head_endpoint_returns_latest', async () => {
        const me = somebody()
        const [, second] = await publish(me, 2)
        const got = await ask(`${pathOf(me)}/head`)
        expect(got).toMatchObject({
          status: 200,
          type: 'application/json',
          text: textOf(second!.bytes),
        })
      })

      it('rejects_event_for_wrong_primary_url', async () => {
        const [a, b] = [somebody(), somebody()]
        await refused(post(b, next(a, undefined).bytes), 400, 'bad_request')
        await refused(ask(pathOf(b)), 404, 'not_found')
      })

      it('rejects_bad_signature', async () => {
        const me = somebody()
        const { bytes } = next(me, undefined)
        const tampered = altered(
          me,
          bytes,
          ({ signature }) => (signature.sig = `00${signature.sig.slice(2)}`),
          'as it was',
        )
        await refused(post(me, tampered), 400, 'bad_request')
        await refused(ask(pathOf(me)), 404, 'not_found')
      })

      it('rejects_seq_skip', async () => {
        const me = somebody()
        const [first] = await publish(me, 1)
        const skipping = next(me, { ...first!.event, seq: 1 })
        const message = await refused(post(me, skipping.bytes), 409, 'conflict')
        expect(message).toBe('expected seq 1, got 2')
      })

      it('rejects_bad_prev_hash', async () => {
        const me = somebody()
        const [first] = await publish(me, 1)
        const wrong = next(me, { ...first!.event, hash: `sha256:${'0'.repeat(64)}` })
        await refused(post(me, wrong.bytes), 409, 'conflict')
      })

      it('rejects_duplicate_seq', async () => {
        const me = somebody()
        const [first] = await publish(me, 1)
        await refused(post(me, first!.bytes), 409, 'conflict')
        const other = next(me, undefined, 'github:other')
        await refused(post(me, other.bytes), 409, 'conflict')
      })

      it('invalid_primary_in_url_is_bad_request', async () => {
        const bad = [
          'ed25519/xyz',
          `ed25519/${'A'.repeat(64)}`,
          `rsa/${'a'.repeat(64)}`,
          'nostr/npub1xyz',
          `ed25519/${'a'.repeat(64)}%0a`,
          `ed25519/%2e%2e%2f${'a'.repeat(61)}`,
        ]
        for (const path of bad) {
          await refused(ask(`/v1/sigchains/${path}`), 400, 'bad_request')
          await refused(ask(`/v1/sigchains/${path}/head`), 400, 'bad_request')
          const sent = { method: 'POST', body: '{}' }
          await refused(ask(`/v1/sigchains/${path}/events`, sent), 400, 'bad_request')
        }
      })
    })

    it('keeps a nostr chain, addressed by its npub', async () => {
      const chain = await publish(nora, 3)
      const got = await ask(pathOf(nora))
      expect(pathOf(nora)).toMatch(/\/nostr\/npub1/)
      expect(verifyChain(got.text, primary(nora))).toEqual(chain.map(({ event }) => event))
    })

    it('keeps and serves the bytes that were sent, and in a chain each on one line', async () => {
      const me = somebody()
      const { bytes, event } = next(me, undefined, 'github:jäson 🙂')
      const pretty = `\n${JSON.stringify(JSON.parse(textOf(bytes)), null, '\t')}\r\n`
      const odd = pretty.replace('"add"', '"\\u0061dd"')
      expect((await post(me, odd)).text).toContain(event.hash)
      expect((await ask(`${pathOf(me)}/head`)).text).toBe(odd)
      const second = next(me, event)
      await post(me, second.bytes)
      const { text } = await ask(pathOf(me))
      expect(text).toBe(`${odd.trim().replaceAll('\n', ' ')}\n${textOf(second.bytes)}\n`)
      expect(verifyChain(text, primary(me))).toHaveLength(2)
    })

    it('takes both readings of what an Ed25519 signature covers, and keeps which one it was', async () => {
      const [me, other] = [somebody(), somebody()]
      await publish(me, 1)
      expect((await post(other, signedUnhashed(other, next(other, undefined).bytes))).status).toBe(
        201,
      )
      const kept = async (signer: Signer) => {
        const { id } = primary(signer)
        const [row] = await sql(
          database,
          `SELECT signed_bytes FROM sigchain_events WHERE primary_id = '${id}'`,
        )
        return row!['signed_bytes']
      }
      expect([await kept(me), await kept(other)]).toEqual(['sha512', 'canonical'])
    })

    it('takes nothing under a key of small order, under which one signature fits everything', async () => {
      const small = `ed25519:01${'0'.repeat(62)}`
      const bytes = altered(
        alice,
        next(alice, undefined).bytes,
        ({ payload, signature }) => {
          payload.primary = small
          Object.assign(signature, { key: small, sig: `01${'0'.repeat(126)}` })
        },
        'as it was',
      )
      const path = `/v1/sigchains/${small.replace(':', '/')}/events`
      const sent = { method: 'POST', body: bytes as Uint8Array<ArrayBuffer> }
      await refused(ask(path, sent), 400, 'bad_request')
    })

    it('lets one of many writers win each number, and tells the others', async () => {
      const me = somebody()
      let head: Head | undefined
      for (let seq = 0; seq < 6; seq++) {
        const rivals = Array.from({ length: 16 }, (_, i) => next(me, head, `github:${seq}-${i}`))
        const statuses = await Promise.all(
          rivals.map(async ({ bytes }) => (await post(me, bytes)).status),
        )
        expect(statuses.filter((status) => status === 201)).toHaveLength(1)
        expect(statuses.filter((status) => status === 409)).toHaveLength(15)
        head = rivals[statuses.indexOf(201)]!.event
        expect((await ask(`${pathOf(me)}/head`)).text).toBe(
          textOf(rivals[statuses.indexOf(201)]!.bytes),
        )
      }
      expect(verifyChain((await ask(pathOf(me))).text, primary(me))).toHaveLength(6)
    })

    // SQLite has one process.
    if (engine.name !== 'SQLite')
      it('lets one of many writers win each number, on several servers too', async () => {
        const second = await serveSystem(
          'sigchain',
          { host: '127.0.0.1', port: 0, database },
          logger,
        )
        const me = somebody()
        let head: Head | undefined
        for (let seq = 0; seq < 4; seq++) {
          const rivals = Array.from({ length: 16 }, (_, i) => next(me, head, `dns:${seq}-${i}`))
          const statuses = await Promise.all(
            rivals.map(async ({ bytes }, i) => {
              const { url } = i % 2 === 0 ? server : second
              const sent = { method: 'POST', body: bytes as Uint8Array<ArrayBuffer> }
              return (await fetch(`${url}${pathOf(me)}/events`, sent)).status
            }),
          )
          expect([...statuses].sort()).toEqual([201, ...Array<number>(15).fill(409)])
          head = rivals[statuses.indexOf(201)]!.event
        }
        expect(verifyChain((await ask(pathOf(me))).text, primary(me))).toHaveLength(4)
        await second.stop()
      })

    it('keeps the chains of many writers apart', async () => {
      const people = Array.from({ length: 12 }, somebody)
      await Promise.all(people.map((each) => publish(each, 3)))
      for (const each of people)
        expect(verifyChain((await ask(pathOf(each))).text, primary(each))).toHaveLength(3)
    })

    it('puts every event that is kept into the log with it, and no other', async () => {
      const me = somebody()
      const [first] = await publish(me, 2)
      await refused(post(me, first!.bytes), 409, 'conflict')
      const { text: mine } = primary(me)
      const leaves = await sql(
        database,
        `SELECT kind, source, entry FROM log_leaves WHERE source LIKE '${mine}/%' ORDER BY id`,
      )
      expect(leaves.map(({ kind, source }) => [kind, source])).toEqual([
        ['sigchain-event', `${mine}/0`],
        ['sigchain-event', `${mine}/1`],
      ])
      const entry = decodeEntry(new Uint8Array(leaves[0]!['entry'] as Buffer))!
      expect(`sha256:${Buffer.from(entry.digest).toString('hex')}`).toBe(first!.event.hash)
    })

    it('serves a long chain whole, in order', async () => {
      const me = somebody()
      const chain = await publish(me, 150)
      const got = await ask(pathOf(me))
      expect(got.text).toBe(chain.map(({ bytes }) => `${textOf(bytes)}\n`).join(''))
      const head = await ask(pathOf(me), { method: 'HEAD' })
      expect([head.status, head.text]).toEqual([200, ''])
    }, 120_000)

    it('does not hide from a reader that a row was changed', async () => {
      const me = somebody()
      await publish(me, 3)
      const { id } = primary(me)
      await sql(
        database,
        `UPDATE sigchain_events SET envelope_json = replace(envelope_json, 'jason-1', 'jason-x')
         WHERE primary_id = '${id}' AND seq = 1`,
      )
      const { text } = await ask(pathOf(me))
      expect(() => verifyChain(text, primary(me))).toThrow(/^line 2: .*signature/)
    })

    it.each([
      ['nothing', ''],
      ['no JSON', '{"kez":'],
      ['a list', '[]'],
      ['null', 'null'],
      ['a form', 'kez=sigchain_event'],
      ['a member twice', textOf(next(alice, undefined).bytes).replace('{', '{"kez":"claim",')],
      ['nesting without end', '['.repeat(60_000)],
      ['bytes that are no text', new Uint8Array([0x7b, 0xff, 0xfe, 0x7d])],
      ['zeros', new Uint8Array(100)],
      ['another tag', '{"kez":"claim","payload":{},"signature":{}}'],
    ])('refuses %s as a bad request', async (_, body) => {
      await refused(post(alice, body), 400, 'bad_request')
    })

    it('refuses an event of more than 64 KiB, and takes one just below', async () => {
      const me = somebody()
      const { bytes } = next(me, undefined)
      const padded = (length: number) =>
        textOf(bytes).replace('{', `{${' '.repeat(length - bytes.length)}`)
      await refused(post(me, padded(64 * 1024 + 1)), 413, 'too_large')
      await refused(post(me, padded(900 * 1024)), 413, 'too_large')
      expect((await post(me, padded(64 * 1024))).status).toBe(201)
    })

    it('refuses a body of gigabytes without reading it', async () => {
      const { port } = new URL(server.url)
      const status = await new Promise((resolve, reject) => {
        const sent = request(
          {
            port,
            host: '127.0.0.1',
            method: 'POST',
            path: `${pathOf(alice)}/events`,
            headers: { 'Content-Length': String(5 * 2 ** 30) },
          },
          (response) => {
            resolve(response.statusCode)
            sent.destroy()
          },
        )
        sent.on('error', reject)
        sent.write('{')
      })
      expect(status).toBe(413)
    })

    it.each([
      ['GET', '/v1/sigchains', 404],
      ['GET', '/v1/sigchains/ed25519', 404],
      ['GET', `${pathOf(bob)}/tail`, 404],
      ['GET', `${pathOf(bob)}/events`, 405],
      ['POST', pathOf(bob), 405],
      ['DELETE', `${pathOf(bob)}/events`, 405],
      ['PUT', `${pathOf(bob)}/head`, 405],
      ['GET', '/v1/sigchains/ed25519/%ff', 400],
      ['GET', '/', 404],
      ['GET', '/v1/healthz/', 404],
    ])('answers %s %s with %i in its own form', async (method, path, status) => {
      const got = await ask(path, { method })
      expect(got.status).toBe(status)
      expect(JSON.parse(got.text)).toEqual({
        error: {
          code: { 400: 'bad_request', 404: 'not_found', 405: 'method_not_allowed' }[status],
          message: expect.any(String) as string,
        },
      })
    })

    it('lets a page of any origin read and write', async () => {
      const response = await fetch(`${server.url}${pathOf(alice)}/events`, {
        method: 'OPTIONS',
        headers: {
          Origin: 'https://anywhere.example',
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'content-type',
        },
      })
      expect(response.status).toBe(204)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(response.headers.get('access-control-allow-methods')).toContain('POST')
      expect(response.headers.get('access-control-allow-headers')).toBe('*')
    })
  })
})
