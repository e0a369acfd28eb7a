import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  authenticate,
  decodeRegistration,
  decodeReplication,
  decodeRequest,
  decodeStatus,
  decodeTopology,
  encodeEvent,
  encodeRegistration,
  encodeReplication,
  encodeRequest,
  encodeStatus,
  encodeTopology,
  highest,
  missing,
  MOST_RANGES,
  nothingApplied,
  operations,
  problemOf,
  readRanges,
  registrationUrl,
  ringRoutes,
  ShareFault,
  showRanges,
  take,
  withoutStale,
  type Applied,
  type Registration,
  type ShareEvent,
  type Topology,
} from '@vertex/directory/share'

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, 'vectors.json'), 'utf8'),
) as Record<string, string>
const bytesOf = (name: string) => hexToBytes(vectors[name]!)

const kindOf = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    if (error instanceof ShareFault) return error.kind
    throw error
  }
  return undefined
}

describe('a topology', () => {
  const topology: Topology = {
    cluster: 'prod-cluster',
    version: 7n,
    servers: [
      { id: 0, url: 'https://ks-a.example.com/v1/share', status: 'active' },
      {
        id: 35,
        url: 'https://ks-z.example.com/v1/share',
        status: 'standby',
        lastSeen: 1_700_000_000_123,
      },
    ],
    routes: [
      { owner: 0, primary: 0, failovers: [35] },
      { owner: 35, primary: 35, failovers: [0] },
    ],
  }

  it('has the bytes of the original', () => {
    expect(bytesToHex(encodeTopology(topology))).toBe(vectors['topology_hex'])
    expect(decodeTopology(bytesOf('topology_hex'))).toEqual(topology)
  })

  it('is refused for every beginning of it, and with anything behind it', () => {
    const bytes = bytesOf('topology_hex')
    for (let end = 0; end < bytes.length; end++)
      expect(
        kindOf(() => decodeTopology(bytes.subarray(0, end))),
        String(end),
      ).toBe('TooShort')
    expect(kindOf(() => decodeTopology(Uint8Array.of(...bytes, 0)))).toBe('TrailingBytes')
  })

  it.each([
    ['another magic', 0, 'BadMagic'],
    ['another version', 5, 'UnsupportedVersion'],
    ['an id above 35', 28 + 4, 'InvalidField'],
    ['a status of none', 29 + 4, 'InvalidField'],
  ])('is refused with %s', (_, at, kind) => {
    const bytes = bytesOf('topology_hex')
    bytes[at] = 0xff
    expect(kindOf(() => decodeTopology(bytes))).toBe(kind)
  })

  it('is refused where it contradicts itself', () => {
    const [first] = topology.servers
    expect(problemOf(topology)).toBeUndefined()
    const wrong: Topology[] = [
      { ...topology, cluster: '' },
      { ...topology, servers: [] },
      { ...topology, servers: [first!, first!] },
      { ...topology, servers: [{ ...first!, url: '' }], routes: [] },
      { ...topology, routes: [{ owner: 0, primary: 1, failovers: [] }] },
      { ...topology, routes: [{ owner: 0, primary: 0, failovers: [1] }] },
    ]
    for (const each of wrong) {
      expect(problemOf(each)).toBeDefined()
      expect(kindOf(() => decodeTopology(encodeTopology(each)))).toBe('InvalidField')
    }
  })

  it('is a ring of those that are not disabled', () => {
    const at = (id: number, status: 'active' | 'disabled') => ({ id, status, url: 'https://x' })
    expect(ringRoutes([at(2, 'active'), at(1, 'disabled'), at(0, 'active')])).toEqual([
      { owner: 0, primary: 0, failovers: [2] },
      { owner: 2, primary: 2, failovers: [0] },
    ])
    expect(ringRoutes([at(7, 'active')])).toEqual([{ owner: 7, primary: 7, failovers: [7] }])
    expect(ringRoutes([])).toEqual([])
  })

  it('loses those that were not heard of, and routes to them', () => {
    const seen = 1_700_000_000_123
    expect(withoutStale(topology, seen + 90_000, 90_000).servers).toHaveLength(2)
    const late = withoutStale(topology, seen + 90_001, 90_000)
    expect(late.servers.map(({ id }) => id)).toEqual([0])
    expect(late.routes).toEqual([{ owner: 0, primary: 0, failovers: [0] }])
    expect(withoutStale(topology, seen + 1e9, 0)).toBe(topology)
  })
})

describe('a report', () => {
  const registration: Registration = {
    cluster: 'prod-cluster',
    id: 35,
    url: 'https://ks-z.example.com/v1/share',
    status: 'promoted',
    token: 'topo-token',
  }

  it('has the bytes of the original', () => {
    expect(bytesToHex(encodeRegistration(registration))).toBe(vectors['topology_registration_hex'])
    expect(decodeRegistration(bytesOf('topology_registration_hex'))).toEqual(registration)
  })

  it('is refused in part, with more, and of a server that there cannot be', () => {
    const bytes = bytesOf('topology_registration_hex')
    for (let end = 0; end < bytes.length; end++)
      expect(
        kindOf(() => decodeRegistration(bytes.subarray(0, end))),
        String(end),
      ).toBe('TooShort')
    expect(kindOf(() => decodeRegistration(Uint8Array.of(...bytes, 0)))).toBe('TrailingBytes')
    // In the original 256 is 0.
    for (const id of [36, 256])
      expect(kindOf(() => decodeRegistration(encodeRegistration({ ...registration, id })))).toBe(
        'InvalidField',
      )
  })

  it.each([
    ['https://ks.example.com/v1/share', 'https://ks.example.com/v1/topology/register'],
    ['https://ks.example.com/', 'https://ks.example.com/v1/topology/register'],
    ['http://a:1/keys/v1/share', 'http://a:1/keys/v1/topology/register'],
  ])('goes from %s to %s', (url, expected) => {
    expect(registrationUrl(url)).toBe(expected)
  })
})

it('has the status of the original', () => {
  const counts = {
    created: 1n,
    fetched: 2n,
    deleted: 3n,
    expired: 4n,
    misses: 5n,
    live: 6n,
    segmentBytes: 7n,
    replicationPending: 8n,
    replicationLastSequence: 9n,
  }
  expect(bytesToHex(encodeStatus(counts))).toBe(vectors['status_hex'])
  expect(decodeStatus(bytesOf('status_hex'))).toEqual(counts)
  expect(kindOf(() => decodeStatus(bytesOf('status_hex').subarray(0, -1)))).toBe('TooShort')
  expect(kindOf(() => decodeStatus(Uint8Array.of(...bytesOf('status_hex'), 0)))).toBe(
    'TrailingBytes',
  )
})

describe('an event', () => {
  const code = '01123456789012'
  const put: ShareEvent = {
    kind: 'put',
    code,
    deleteTokenHash: new Uint8Array(16).fill(1),
    payload: bytesOf('contact_share_payload_hex'),
    expiresAt: 1_795_000_000_000,
    maxFetches: 2,
    fetches: 1,
    email: 'alice@example.com',
  }
  const number = { origin: 0, epoch: 1_700_000_000_000n, sequence: 1n }
  const sent = (event: ShareEvent) =>
    decodeRequest(encodeReplication('peer-token', number, encodeEvent(event)))
  /** Where its authentication stands in the body. */
  const AT = 10

  it('of a share has the bytes of the original, but for the token, which is not known', () => {
    const request = decodeRequest(bytesOf('replication_put_request_hex'))
    expect(request.operation).toBe(operations.replicate)
    const decoded = decodeReplication(request.body)
    expect(decoded).toMatchObject({ ...number, event: put })
    expect(bytesToHex(decoded.authentication)).toBe(vectors['replication_put_auth_hex'])
    const body = sent(put).body
    body.set(decoded.authentication, AT)
    expect(bytesToHex(encodeRequest({ operation: operations.replicate, body }))).toBe(
      vectors['replication_put_request_hex'],
    )
  })

  it.each<ShareEvent>([
    put,
    { ...put, email: undefined },
    { kind: 'fetches', code, fetches: 3 },
    { kind: 'tombstone', code },
  ])('of the kind $kind comes as it went', (event) => {
    const decoded = decodeReplication(sent(event).body)
    expect(decoded).toMatchObject({ ...number, event })
    expect(decoded.authentication).toEqual(authenticate('peer-token', decoded.signed))
  })

  it('is authenticated with the token, every byte of it', () => {
    const { signed, authentication } = decodeReplication(sent(put).body)
    expect(authenticate('peer-toke', signed)).not.toEqual(authentication)
    for (const at of signed.keys()) {
      const changed = signed.slice()
      changed[at]! ^= 1
      expect(authenticate('peer-token', changed)).not.toEqual(authentication)
    }
  })

  it('is none in part, nor with anything behind it', () => {
    for (const event of [{ ...put, email: undefined }, { kind: 'tombstone', code } as const]) {
      const { body } = sent(event)
      for (let end = 0; end < body.length; end++)
        expect(
          kindOf(() => decodeReplication(body.subarray(0, end))),
          String(end),
        ).toBe('TooShort')
      // What whoever extends a hash without its token gets: padding, and then what they like.
      const extended = Uint8Array.of(...body, 0x80, 0, 0, 0, 0, 0, 0, 1)
      expect(kindOf(() => decodeReplication(extended))).toMatch(/TrailingBytes|TooShort/)
    }
  })

  it.each([
    ['of a type that there is not', 42 + 17 + 1, 9, 'UnknownType'],
    ['with another magic', 0, 0, 'BadMagic'],
    ['of another version', 5, 2, 'UnsupportedVersion'],
  ])('%s is refused', (_, at, byte, kind) => {
    const { body } = sent(put)
    body[at] = byte
    expect(kindOf(() => decodeReplication(body))).toBe(kind)
  })
})

it('is refused with the hash of a delete token that has another length', () => {
  const put = {
    kind: 'put',
    code: '01123456789012',
    deleteTokenHash: new Uint8Array(15),
    payload: new Uint8Array(),
    expiresAt: 1,
    maxFetches: 1,
    fetches: 0,
  } as const
  const request = encodeReplication('t', { origin: 0, epoch: 1n, sequence: 1n }, encodeEvent(put))
  expect(kindOf(() => decodeReplication(decodeRequest(request).body))).toBe('InvalidField')
})

it('is read, or refused with a reason, whatever it is', () => {
  const names = ['topology_hex', 'topology_registration_hex', 'status_hex'] as const
  const body = decodeRequest(bytesOf('replication_put_request_hex')).body
  const whole = [...names.map(bytesOf), body]
  const changed = fc
    .tuple(
      fc.constantFrom(...whole),
      fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
    )
    .map(([bytes, changes]) => {
      const copy = bytes.slice()
      for (const [at, byte] of changes) copy[at % copy.length] = byte
      return copy
    })
  const decoders = [decodeTopology, decodeRegistration, decodeStatus, decodeReplication]
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), changed), (bytes) => {
      for (const decode of decoders) kindOf(() => decode(bytes))
    }),
    { numRuns: 2000 },
  )
})

describe('what was applied', () => {
  const all = (numbers: readonly bigint[], epoch = 1n) =>
    numbers.reduce<Applied>((before, each) => take(before, epoch, each) ?? before, nothingApplied)

  it('is each number once, in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt(1n, 60n), { maxLength: 200 }), (numbers) => {
        let applied = nothingApplied
        const before = new Set<bigint>()
        for (const each of numbers) {
          const after = take(applied, 7n, each)
          expect(after === undefined).toBe(before.has(each))
          before.add(each)
          applied = after ?? applied
          expect(readRanges(showRanges(applied.ranges))).toEqual(applied.ranges)
        }
        const covered = applied.ranges.flatMap(({ first, last }) =>
          Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i)),
        )
        expect(covered).toEqual([...before].sort((a, b) => Number(a - b)))
        const [lowest = 1n] = covered
        expect(missing(applied)).toBe(
          highest(applied) -
            lowest +
            1n -
            BigInt(covered.length) -
            (covered.length === 0 ? 0n : 0n),
        )
      }),
    )
  })

  it('knows what is missing until it comes', () => {
    const gap = all([1n, 2n, 5n])
    expect([showRanges(gap.ranges), missing(gap), highest(gap)]).toEqual(['1-2,5-5', 2n, 5n])
    expect(showRanges(take(take(gap, 1n, 4n)!, 1n, 3n)!.ranges)).toBe('1-5')
  })

  it('begins anew with a later epoch, and takes nothing of an earlier one', () => {
    const second = take(all([1n, 2n, 3n]), 2n, 1n)!
    expect(second).toEqual({ epoch: 2n, ranges: [{ first: 1n, last: 1n }] })
    expect(take(second, 1n, 9n)).toBeUndefined()
    expect(take(second, 2n, 0n)).toBeUndefined()
  })

  it('takes a number of 64 bits', () => {
    const most = (1n << 64n) - 1n
    expect(showRanges(take(nothingApplied, most, most)!.ranges)).toBe(`${most}-${most}`)
  })

  it('does not grow without end: the lowest gap is given up', () => {
    const odd = all(Array.from({ length: MOST_RANGES + 1 }, (_, i) => BigInt(2 * i + 1)))
    expect(odd.ranges).toHaveLength(MOST_RANGES)
    expect(odd.ranges[0]).toEqual({ first: 1n, last: 3n })
    expect(take(odd, 1n, 2n)).toBeUndefined()
    expect(take(odd, 1n, 4n)).toBeDefined()
  })
})
