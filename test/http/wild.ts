import fc from 'fast-check'

const uuid = '4d0f3a62-0a3e-4c40-9a55-7d1f6b1e8b02'
const keygenId = `01${'ab'.repeat(31)}0b`

/** A body that each route takes, by its path. */
export const goodBodies: Record<string, Record<string, unknown>> = {
  '/create-room': { room_size: 2, count: 3 },
  '/ecdsa/keygen': {
    key_id: uuid,
    room_uuid: uuid,
    num_parties: 2,
    threshold: 2,
    others_keygen_ids: [keygenId],
  },
  '/ecdsa/sign': {
    key_id: uuid,
    room_uuid: uuid,
    msg: '00ff',
    hash_algo: 'sha256',
    derivation_path: [0, 1],
  },
  '/ecdsa/batch-sign': {
    sign_requests: [
      { key_id: uuid, room_uuid: uuid, msg: '00ff', hash_algo: 'none', extra_data: 'aa' },
    ],
  },
  '/ecdsa/derive-pubkey': { key_id: uuid, derivation_path: [7] },
  '/ecdsa/backup/import-key-share': { export_type: 'encrypted', key_share: 'AAAA' },
  '/ecdsa/backup/verify-key-share': { export_type: 'plaintext', key_share: 'AAAA' },
  '/ecdsa/backup/rewrap-key-share': { export_type: 'encrypted', key_share: 'AAAA' },
  '/ecdsa/backup/drill-key-share': {
    export_type: 'encrypted',
    key_share: 'AAAA',
    room_uuid: uuid,
    nonce: 'ab'.repeat(32),
  },
  '/admin/create-user': { name: 'alice' },
  '/admin/generate-api-key': { user_id: uuid },
  '/admin/revoke-api-key': { api_key: 'vtx_x', user_id: uuid },
  '/admin/delete-user': { user_id: uuid },
  '/admin/delete-tombstone': { kind: 'user', user_id: uuid },
}

const nasty = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    '\u0000',
    'a\u0000b',
    'ключ',
    '\ud800',
    '𝟘𝟙',
    '０',
    '0x00',
    'abc',
    'zz',
    uuid.toUpperCase(),
    `${uuid} `,
    `${uuid}\n`,
    `{${uuid}}`,
    '../../etc/passwd',
    "' or 1=1 --",
    'SHA256',
    'md5',
    'a'.repeat(5000),
    -1,
    0,
    -0,
    1.5,
    65536,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    1e308,
    [],
    [[]],
    {},
    { $ne: null },
    [null],
    ['', 0],
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.jsonValue({ maxDepth: 4 }),
)
const strangeName = fc.constantFrom(
  'extra',
  'constructor',
  'prototype',
  'toString',
  'KEY_ID',
  'key_id ',
  '',
  'user_id',
)

/** Something near what a route takes: members left out, replaced or added, or something else altogether. */
export function wildBody(path: string): fc.Arbitrary<unknown> {
  const good = goodBodies[path] ?? {}
  const names = Object.keys(good)
  const changed = fc
    .record({
      drop: fc.subarray(names, { maxLength: Math.min(1, names.length) }),
      replace: fc.dictionary(fc.constantFrom(...(names.length > 0 ? names : ['x'])), nasty, {
        maxKeys: 2,
      }),
      add: fc.option(fc.tuple(strangeName, nasty), { nil: undefined, freq: 4 }),
    })
    .map(({ drop, replace, add }) => {
      const kept = Object.fromEntries(Object.entries(good).filter(([name]) => !drop.includes(name)))
      return { ...kept, ...replace, ...(add ? { [add[0]]: add[1] } : {}) }
    })
  return fc.oneof({ weight: 8, arbitrary: changed }, { weight: 1, arbitrary: nasty })
}
