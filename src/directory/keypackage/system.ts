import {
  checkAccount,
  checkKeyPackage,
  SubmissionRefused,
  type AccountField,
} from '@vertex/directory/keypackage'
import type { Answer, Asked, System } from '../system.js'
import { BodyRefused, readFields, textAnswer, TOO_LARGE } from './body.js'
import { byOpenssl } from '../equation.js'
import { recordOf, type Bundles, type Kept } from './rows.js'

/** Of a body, as the framework of the original has it. */
const MAX_BODY_BYTES = 2 * 1024 * 1024

/** Key packages of devices and devices of accounts, docs/directory/key-packages.md. */
export function keyPackageSystem(bundles: Bundles): System {
  return {
    name: 'keypackage',
    paths: ['/v0/keypackage', '/v0/account'],
    anyOrigin: false,
    maxBodyBytes: MAX_BODY_BYTES,
    refusal: (status, message) =>
      status === 413 ? textAnswer(413, TOO_LARGE, 'too_large') : error(status, message),
    routes: [
      {
        method: 'post',
        path: '/v0/keypackage',
        takesBody: true,
        handle: refusing(async (asked) => {
          const [device, payload, signature] = fieldsOf(asked, ['device_id'])
          const submission = { id: device.value, payload, signature }
          await bundles.addKeyPackage(checkKeyPackage(submission, byOpenssl))
          return done
        }),
      },
      {
        method: 'get',
        path: '/v0/keypackage/:device_id',
        takesBody: false,
        handle: async ({ params }) => {
          const kept = await bundles.latestKeyPackage(params['device_id']!)
          return kept === undefined
            ? error(404, 'no keypackage for device')
            : json(200, inBase64(kept))
        },
      },
      {
        method: 'post',
        path: '/v0/account',
        takesBody: true,
        handle: refusing(async (asked) => {
          // The older name where it is the only one.
          const [account, payload, signature] = fieldsOf(asked, ['account_pub', 'account_id'])
          const submission = { id: account.value, payload, signature }
          const bundle = checkAccount(submission, account.name as AccountField, byOpenssl)
          if (!(await bundles.putAccount(bundle))) return stale
          const { id: accountId, lamport } = bundle
          return { ...done, record: recordOf({ accountId, lamport: String(lamport) }) }
        }),
      },
      {
        method: 'get',
        path: '/v0/account/:account_id',
        takesBody: false,
        handle: async ({ params }) => {
          const accountId = params['account_id']!
          const kept = await bundles.account(accountId)
          if (kept === undefined) return error(404, 'no account bundle for account_id')
          const { lamport, updatedAt: updated_at } = kept
          const answer = json(200, { ...inBase64(kept), updated_at })
          return { ...answer, record: recordOf({ accountId, lamport }) }
        },
      },
    ],
  }
}

/** The three members of a submission. @throws BodyRefused */
function fieldsOf({ headers, body }: Asked, id: readonly [string, ...string[]]) {
  const type = headers['content-type']
  const fields = readFields(typeof type === 'string' ? type : undefined, body, [
    id,
    ['payload'],
    ['signature'],
  ])
  const [who, payload, signature] = fields
  return [who!, payload!.value, signature!.value] as const
}

/** Answers what is refused of a submission. */
function refusing(handle: (asked: Asked) => Promise<Answer>) {
  return async (asked: Asked): Promise<Answer> => {
    try {
      return await handle(asked)
    } catch (thrown) {
      if (thrown instanceof BodyRefused)
        return textAnswer(thrown.status, thrown.message, codes[thrown.status]!)
      if (thrown instanceof SubmissionRefused) return error(400, thrown.message)
      throw thrown
    }
  }
}

/** For the log. */
const codes: Readonly<Record<number, string>> = {
  400: 'bad_request',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'too_large',
  415: 'unsupported_media_type',
  422: 'unprocessable',
  429: 'rate_limited',
  503: 'unavailable',
}

function error(status: number, message: string): Answer {
  const code = codes[status] ?? (status < 500 ? 'bad_request' : 'internal')
  return { ...json(status, { error: message }), code }
}

const done: Answer = { status: 204, type: '', body: '' }
const stale = error(409, 'stale bundle: lamport is not newer than the stored one')

const inBase64 = ({ payload, signature }: Kept) => ({
  payload: payload.toString('base64'),
  signature: signature.toString('base64'),
})

function json(status: number, value: object): Answer {
  return { status, type: 'application/json', body: JSON.stringify(value) }
}
