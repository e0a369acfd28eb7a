import { z } from 'zod'
import { hostAndPort } from './host-and-port.js'

// The shapes of requests, as strict as openapi.yaml says. A test holds the two together.

const uuid = z
  .string()
  .regex(
    /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    'must be 32 hex digits grouped 8-4-4-4-12',
  )
  .transform((value) => value.toLowerCase())

const hex = z
  .string()
  .regex(/^(?:[0-9a-f]{2})*$/i, 'must be hex: pairs of 0-9 and a-f, without a prefix')
  .transform((value) => value.toLowerCase())

const hex32 = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'must be 32 bytes as hex')
  .transform((value) => value.toLowerCase())

const keygenId = z
  .string()
  .regex(/^0[12][0-9a-f]{64}$/i, 'must be 33 bytes as hex, the first of them 01 or 02')
  .transform((value) => value.toLowerCase())

const publicKey = z
  .string()
  .regex(/^0[23][0-9a-f]{64}$/i, 'must be a compressed public key, 33 bytes as hex')
  .transform((value) => value.toLowerCase())

const hashAlgo = z
  .string()
  .regex(/^(?:sha256d?|keccak256|none)$/i, 'must be sha256, keccak256, sha256d or none')
  .transform((value) => value.toLowerCase())

const derivationPath = z
  .array(
    z
      .int('must be whole numbers')
      .min(0, 'must not be negative')
      .max(
        2 ** 31 - 1,
        'must be below 2147483648; hardened derivation is not possible without the private key',
      ),
  )
  .max(255, 'must have at most 255 indices')

const relayAddress = z
  .string()
  .refine((value) => hostAndPort(value) !== undefined, 'must be host:port')

/** Printable text with no white space at its ends, in one normal form so that equal-looking names are equal. */
const userName = z
  .string()
  .min(1, 'must not be empty')
  .max(128, 'must have at most 128 characters')
  .regex(
    /^(?!\s)[^\p{C}\p{Zl}\p{Zp}]*(?<!\s)$/u,
    'must be printable and not begin or end with white space',
  )
  .transform((value) => value.normalize('NFC'))

const party = z
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(65535, 'must be at most 65535')

/** Of a party in the directory; the vault reads it. */
const primary = z.string().regex(/^[!-~]{1,128}$/, 'must be a primary')

export const nothing = z.strictObject({})
export const keyIdParam = z.strictObject({ key_id: uuid })
export const identityHeaders = z.strictObject({
  'X-Vertex-Nonce': hex32.optional(),
  'X-Vertex-Identity': hex32.optional(),
})

export const createRoom = z.strictObject({
  room_size: party,
  count: z
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(64, 'must be at most 64')
    .optional(),
})

export const keygen = z.strictObject({
  key_id: uuid,
  room_uuid: uuid,
  num_parties: party,
  threshold: party,
  others_keygen_ids: z.array(keygenId).max(64, 'must have at most 64 entries'),
  others_identities: z.array(primary.nullable()).max(64, 'must have at most 64 entries').optional(),
  relay_address: relayAddress.optional(),
})

/** A primary, or `mute:` and a name. */
const recipient = z.string().regex(/^[!-~]{1,255}$/, 'must be a primary or mute: and a name')

export const exportTo = z.strictObject({ recipient: recipient.optional() })

export const sign = z.strictObject({
  key_id: uuid,
  room_uuid: uuid,
  msg: hex,
  hash_algo: hashAlgo,
  derivation_path: derivationPath.optional(),
  extra_data: hex.optional(),
  relay_address: relayAddress.optional(),
})

export const batchSign = z.strictObject({
  sign_requests: z.array(sign).min(1, 'must not be empty'),
})

export const derivePubkey = z.strictObject({ key_id: uuid, derivation_path: derivationPath })

export const backup = z.strictObject({
  export_type: z.enum(['encrypted', 'plaintext'], 'must be encrypted or plaintext'),
  // Any text: whatever is no backup gets the one answer that a bad backup gets.
  key_share: z.string(),
})

export const drill = backup.extend({
  room_uuid: uuid,
  nonce: hex32,
  relay_address: relayAddress.optional(),
})

export const createUser = z
  .strictObject({ name: userName.optional(), label: userName.optional(), user_id: uuid.optional() })
  .refine(({ name, label }) => (name === undefined) !== (label === undefined), {
    error: 'exactly one of name and label is needed',
    path: ['name'],
  })

export const coverage = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a whole number, 1 to 1000')
    .transform(Number)
    .refine((limit) => limit <= 1000, 'must be at most 1000')
    .default(1000),
  after: uuid.optional(),
})

export const userId = z.strictObject({ user_id: uuid })
export const maybeUserId = z.strictObject({ user_id: uuid.optional() })

export const revokeApiKey = z.strictObject({
  api_key: z.string().regex(/^[!-~]{1,1024}$/, 'must be an API key'),
  user_id: uuid,
})

export const deleteTombstone = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('share'), user_id: uuid, pubkey: publicKey }),
    z.strictObject({ kind: z.literal('user'), user_id: uuid }),
    z.strictObject({ kind: z.literal('user_name'), name: userName }),
  ],
  'must be share, user or user_name',
)
