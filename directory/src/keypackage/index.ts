export { decodeBase64 } from '../base64.js'
export { equationHolds, verifyStrict, type Equation, type Verdict } from '../ed25519.js'
export { openAccount, openKeyPackage, type Fetched } from './fetched.js'
export {
  decodeAccount,
  decodeKeyPackage,
  encodeAccount,
  encodeKeyPackage,
  readLamport,
  type AccountPayload,
  type KeyPackagePayload,
} from './payload.js'
export {
  checkAccount,
  checkKeyPackage,
  SubmissionRefused,
  type AccountBundle,
  type AccountField,
  type Bundle,
  type Submission,
} from './submission.js'
