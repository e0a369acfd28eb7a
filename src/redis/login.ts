import type { RedisClientOptions } from '@redis/client'

/** A token of the machine's managed identity for one service. */
export type TokenFor = (scope: string) => Promise<string>

type Provider = NonNullable<RedisClientOptions['credentialsProvider']>

/** REDIS_URL cannot be used; the message says why and what to do. */
export class RedisRefused extends Error {
  override readonly name = 'RedisRefused'
}

/** Azure Managed Redis, by the end of its names. */
const AZURE_HOST = '.redis.azure.net'
const AZURE_SCOPE = 'https://redis.azure.com/.default'

/** A token is renewed when so much of what is left of its life has passed, and no more often than this. */
const RENEW_AT = 0.7
const RENEW_MS = 10_000

/**
 * How to log in to the Redis of a URL: with what stands in it or, at Azure and without a password, with a token of the
 * managed identity. A connection there lives as long as the token it last showed, so a new one is shown in time.
 * @throws RedisRefused where a token would go past TLS
 */
export function loginTo(
  url: string,
  tokenFor: TokenFor | undefined,
  log: (event: { readonly event: 'redis_token_refused' }) => void = () => undefined,
): { readonly credentialsProvider?: Provider } {
  const { protocol, hostname, password } = new URL(url)
  if (tokenFor === undefined || password !== '' || !hostname.toLowerCase().endsWith(AZURE_HOST))
    return {}
  if (protocol !== 'rediss:')
    throw new RedisRefused('REDIS_URL without a password must begin with rediss://')
  return {
    credentialsProvider: {
      type: 'streaming-credentials-provider',
      async subscribe(listener) {
        let timer: NodeJS.Timeout
        let disposed = false
        const renewIn = (ms: number) => {
          if (disposed) return
          timer = setTimeout(
            () => {
              tokenFor(AZURE_SCOPE)
                .then(readToken)
                .then(
                  ({ login, livesMs }) => {
                    if (!disposed) listener.onNext(login)
                    renewIn(livesMs)
                  },
                  // The one that was shown last is good for a while.
                  () => {
                    renewIn(0)
                  },
                )
            },
            Math.max(RENEW_MS, ms * RENEW_AT),
          )
          timer.unref()
        }
        const { login, livesMs } = readToken(await tokenFor(AZURE_SCOPE))
        renewIn(livesMs)
        return [
          login,
          {
            dispose: () => {
              disposed = true
              clearTimeout(timer)
            },
          },
        ]
      },
      onReAuthenticationError: () => {
        log({ event: 'redis_token_refused' })
      },
    },
  }
}

/** Redis knows an identity by its object id, which stands in the token. */
function readToken(token: string) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
    oid?: unknown
    exp?: unknown
  }
  if (typeof claims.oid !== 'string' || typeof claims.exp !== 'number')
    throw new Error('a token without oid and exp')
  return {
    login: { username: claims.oid, password: token },
    livesMs: claims.exp * 1000 - Date.now(),
  }
}
