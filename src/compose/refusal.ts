import { ChainRefused } from '../directory/keyserver/own.js'
import { AdminTokenError } from '../http/admin-token.js'
import { TlsError } from '../http/tls.js'
import { RedisRefused } from '../redis/index.js'
import { SecretSettingError, SecretsUnavailable } from '../seal/index.js'
import { StoreRefused } from '../store/index.js'
import { StartRefused } from '../vault/index.js'
import { StorageUnavailable } from '../vault/ports.js'

/** Whether an error is for the operator to mend, so that its message is all there is to say. */
export function isForOperator(error: unknown): error is Error {
  return [
    StartRefused,
    StoreRefused,
    ChainRefused,
    SecretSettingError,
    AdminTokenError,
    RedisRefused,
    TlsError,
  ].some((type) => error instanceof type)
}

/** Whether a start failed only because something else does not answer now. */
export function isUnavailable(error: unknown): error is Error {
  return error instanceof StorageUnavailable || error instanceof SecretsUnavailable
}
