import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createLogger } from '../../src/compose/index.js'
import { readConfig } from '../../src/config.js'
import { createApp } from '../../src/http/app.js'
import { Drain } from '../../src/http/drain.js'
import { createServer, listen } from '../../src/http/server.js'
import { ratesInMemory } from '../../src/rates/index.js'
import { VaultError, vaultErrorTypes, type Vault } from '../../src/vault/index.js'
import { adminToken, caller, type Call } from './vertex.js'

// The vault is replaced by one that fails in a given way: what its real parts do when they fail is tested with them.

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

interface Failing {
  readonly url: string
  readonly call: Call
  readonly log: string[]
  readonly drain: Drain
}

async function failing(
  fail: (verb: string) => unknown,
  options: {
    corsOrigins?: string[]
    trustedProxies?: string[]
    accepts?: () => boolean
    answers?: () => boolean
  } = {},
) {
  const verbs = new Proxy({} as Vault, {
    get: (_, verb: string) => async (authorization: unknown) => {
      if (verb === 'authenticate' && authorization === 'good' && (options.accepts?.() ?? true))
        return { userId: 'u', apiKeyId: 'a' }
      await Promise.resolve()
      throw fail(verb)
    },
  })
  const log: string[] = []
  const drain = new Drain()
  const app = createApp({
    vault: verbs,
    rates: ratesInMemory(readConfig({}).rates),
    adminToken,
    corsOrigins: options.corsOrigins ?? [],
    trustedProxies: options.trustedProxies ?? [],
    relayAllow: [],
    logger: createLogger('info', { write: (line) => log.push(line) }),
    drain,
    answers: options.answers ?? (() => true),
    version: '0.0.0',
    systems: [],
    admitToSystems: () => 0,
  })
  const server = createServer(app)
  const port = await listen(server, '127.0.0.1', 0)
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${port}`
  return { url, call: caller(url), log, drain } satisfies Failing
}

describe('an error', () => {
  it.each(['storage_unavailable', 'backup_key_unavailable', 'too_busy'] as const)(
    '%s is a 503 that says when to try again',
    async (errType) => {
      const { call } = await failing(() => new VaultError(errType, 'not now'))
      const answer = await call('GET', '/ecdsa/keys', { key: 'good' })
      expect([answer.status, answer.body]).toEqual([503, { err_msg: 'not now', err_type: errType }])
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    },
  )

  it('of the database while a key is looked up is a 503, not a 401, and counts as no failed login', async () => {
    const { call } = await failing(() => new VaultError('storage_unavailable', 'not now'))
    for (let i = 0; i < 12; i++) {
      const { status } = await call('GET', '/ecdsa/keys', { key: 'any' })
      expect(status).toBe(503)
    }
  })

  it('takes the time to wait from where it is known', async () => {
    const { call } = await failing(
      () => new VaultError('backup_key_unavailable', 'not now', { retry_after: 17 }),
    )
    const answer = await call('GET', '/ecdsa/keys', { key: 'good' })
    expect(answer.headers.get('retry-after')).toBe('17')
    expect(answer.body).not.toHaveProperty('retry_after')
  })

  it('nobody expected is a 500 that tells a request id and nothing else', async () => {
    const secret = 'c0ffee'.repeat(8)
    const { call, log } = await failing(() =>
      Object.assign(new TypeError(`SELECT * FROM users WHERE x = '${secret}'`), {
        code: 'SQLITE_BROKEN',
      }),
    )
    const answer = await call('GET', '/ecdsa/keys', { key: 'good' })
    expect(answer.status).toBe(500)
    const request_id = answer.headers.get('x-request-id')
    expect(answer.body).toEqual({
      err_msg: 'something went wrong here',
      err_type: 'internal_problem',
      request_id,
    })
    const line = log.find((each) => each.includes('internal problem'))
    expect(line).toContain(request_id)
    expect(line).toContain('TypeError')
    expect(line).not.toContain(secret)
  })

  it.each([
    undefined,
    null,
    'text',
    42,
    { errType: 'access_denied' },
    new VaultError('internal_problem', 'inside'),
  ])('of any kind (%j) is answered', async (thrown) => {
    const { call } = await failing(() => thrown)
    const answer = await call('POST', '/create-room', { key: 'good', body: { room_size: 2 } })
    expect([answer.status, answer.body.err_type]).toEqual([500, 'internal_problem'])
    expect(answer.body.err_msg).not.toContain('inside')
  })

  it('carries its details to the client', async () => {
    const details = { code: 'vole_check_failed', round: 3, culprits: [2], reaction: 'retire_setup' }
    const { call } = await failing(
      () => new VaultError('protocol_abort', 'vole check failed', details),
    )
    const body = {
      key_id: '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02',
      room_uuid: '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02',
      msg: '',
      hash_algo: 'sha256',
    }
    const answer = await call('POST', '/ecdsa/sign', { key: 'good', body })
    expect([answer.status, answer.body]).toEqual([
      400,
      { err_msg: 'vole check failed', err_type: 'protocol_abort', ...details },
    ])
  })

  it('has a status among the documented ones, whatever its type', async () => {
    const { problemOf } = await import('../../src/http/errors.js')
    for (const errType of vaultErrorTypes) {
      const { status } = problemOf(new VaultError(errType, 'x'), 'id')
      expect([400, 401, 404, 413, 415, 429, 500, 503]).toContain(status)
    }
    expect(problemOf(new VaultError('key_id_not_exists', 'x'), 'id').status).toBe(400)
  })
})

describe('readiness', () => {
  it('is false, and livez true, while the vault cannot say that it is well', async () => {
    const { call } = await failing(() => new Error('down'))
    const answer = await call('GET', '/readyz')
    expect([answer.status, answer.body.ready]).toEqual([503, false])
    expect((await call('GET', '/livez')).status).toBe(200)
  })

  it('is false while another process answers, and so does nothing but what needs no vault', async () => {
    let answers = false
    const { call, log } = await failing(() => new VaultError('not_found', 'asked'), {
      answers: () => answers,
    })
    expect((await call('GET', '/readyz')).body.checks.lease).toBe('failing')
    expect((await call('GET', '/livez')).status).toBe(200)
    const refusal = { err_msg: 'another process answers for this database' }
    for (const key of ['good', adminToken])
      for (const [method, path] of [
        ['GET', '/ecdsa/keys'],
        ['POST', '/create-room'],
        ['POST', '/admin/create-user'],
      ] as const) {
        const { status, body } = await call(method, path, { key })
        expect([status, body]).toEqual([503, { ...refusal, err_type: 'storage_unavailable' }])
      }
    expect(log.join('')).not.toContain('unexpected')
    answers = true
    expect((await call('GET', '/ecdsa/keys', { key: 'good' })).body.err_msg).toBe('asked')
    expect((await call('GET', '/readyz')).body.checks.lease).toBe('ok')
  })

  it('is false from the moment the server begins to stop, and connections are not kept', async () => {
    const { call, drain } = await failing(() => new Error('down'))
    drain.begin()
    const answer = await call('GET', '/readyz')
    expect(answer.body.checks.draining).toBe('failing')
    expect(answer.headers.get('connection')).toBe('close')
  })
})

describe('failed authentications', () => {
  const denied = () => new VaultError('access_denied', 'access denied')

  it('are limited to ten in a minute for each source, and keys that work are not', async () => {
    const { call } = await failing(denied)
    for (let i = 0; i < 10; i++) {
      const key = `guess ${i}`
      const answer = await call('GET', i % 2 ? '/ecdsa/keys' : '/admin/create-user?name=x', { key })
      expect([answer.status, answer.body.err_type]).toEqual([401, 'access_denied'])
    }
    const limited = await call('GET', '/ecdsa/keys', { key: 'one more' })
    expect([limited.status, limited.body.err_type]).toEqual([429, 'rate_limited'])
    expect(Number(limited.headers.get('retry-after'))).toBeLessThanOrEqual(60)
    const wrong = await call('DELETE', '/admin/delete-user', { key: 'one more' })
    expect(wrong.status).toBe(429)
  })

  it('of somebody else at the same address never refuse a key or a token that was not used before', async () => {
    const { call } = await failing((verb) =>
      verb === 'authenticate' ? denied() : new VaultError('too_busy', 'let in'),
    )
    for (let i = 0; i < 12; i++) await call('GET', '/ecdsa/keys', { key: 'dead' })
    expect((await call('GET', '/ecdsa/keys', { key: 'dead' })).status).toBe(429)
    const user = await call('GET', '/ecdsa/create', { key: 'good' })
    expect(user.body.err_msg).toBe('let in')
    const admin = await call('GET', '/admin/create-user?name=x', { key: adminToken })
    expect(admin.body.err_msg).toBe('let in')
    const noAdmin = await call('GET', '/admin/create-user?name=x', { key: 'good' })
    expect(noAdmin.body.err_type).toBe('you_have_to_be_admin')
  })

  it('count for the client behind a trusted proxy, and for nobody who only claims one', async () => {
    const from = (address: string) => ({ key: 'guess', headers: { 'X-Forwarded-For': address } })
    const trusting = await failing(denied, { trustedProxies: ['127.0.0.1'] })
    for (let i = 0; i < 10; i++) await trusting.call('GET', '/ecdsa/keys', from('192.0.2.1'))
    expect((await trusting.call('GET', '/ecdsa/keys', from('192.0.2.1'))).status).toBe(429)
    expect((await trusting.call('GET', '/ecdsa/keys', from('192.0.2.2'))).status).toBe(401)
    // Whoever has one address of IPv6 has a whole network of them.
    for (let i = 0; i < 10; i++)
      await trusting.call('GET', '/ecdsa/keys', from(`2001:db8:0:7::${i}`))
    expect((await trusting.call('GET', '/ecdsa/keys', from('2001:db8:0:7::a'))).status).toBe(429)
    expect((await trusting.call('GET', '/ecdsa/keys', from('2001:db8:0:8::a'))).status).toBe(401)
    const plain = await failing(denied)
    for (let i = 0; i < 10; i++) await plain.call('GET', '/ecdsa/keys', from(`192.0.2.${i}`))
    expect((await plain.call('GET', '/ecdsa/keys', from('192.0.2.99'))).status).toBe(429)
  })
})

describe('a key that is revoked while the body of its request still comes', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each([
    ['is refused after more than two seconds', 2100, 401],
    ['is let in before', 1900, 503],
  ])('%s', async (_, ms, status) => {
    const accepts = vi.fn(() => true)
    const { url } = await failing(
      (verb) =>
        verb === 'authenticate'
          ? new VaultError('access_denied', 'no')
          : new VaultError('too_busy', 'let in'),
      { accepts },
    )
    vi.useFakeTimers({ toFake: ['performance'] })
    const body = '{"room_size":2}'
    const headers = { Authorization: 'good', 'Content-Type': 'application/json' }
    const pending = request(`${url}/create-room`, { method: 'POST', headers })
    const answer = once(pending, 'response') as Promise<[IncomingMessage]>
    pending.write(body.slice(0, 3))
    await vi.waitFor(() => expect(accepts).toHaveBeenCalled())
    accepts.mockReturnValue(false)
    vi.advanceTimersByTime(ms)
    pending.end(body.slice(3))
    const [response] = await answer
    response.resume()
    expect(response.statusCode).toBe(status)
  })
})

describe('CORS', () => {
  it('lets the listed origins in and no other', async () => {
    const { call } = await failing(() => new Error('down'), {
      corsOrigins: ['https://app.example'],
    })
    const preflight = await call('OPTIONS', '/ecdsa/sign', {
      headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization')
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull()
    const answer = await call('GET', '/livez', { headers: { Origin: 'https://app.example' } })
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(answer.headers.get('vary')).toContain('Origin')
    const other = await call('GET', '/livez', { headers: { Origin: 'https://app.example.evil' } })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('the API page', () => {
  it('loads only what this server has, under a strict policy', async () => {
    const { call } = await failing(() => new Error('down'))
    const page = await call('GET', '/docs')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    const html = page.body as string
    expect(html).not.toMatch(/https?:|<style|style=|<script(?! src=)|\son\w+=/)
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '')
    expect(links.length).toBe(5)
    for (const link of links.filter((each) => each !== 'data:,'))
      expect((await call('GET', `/${link}`)).status).toBe(200)
    const contract = await call('GET', '/openapi.json')
    expect(contract.body.openapi).toBe('3.1.0')
  })
})
