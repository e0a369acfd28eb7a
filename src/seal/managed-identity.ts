import type { ManagedIdentityCredential } from '@azure/identity'
import { within } from './within.js'

/** A token of the machine's managed identity for one service. @throws when there is none in time */
export type TokenFor = (scope: string) => Promise<string>

/** Less than a new connection to a database may take, so that the reason is this one. */
const PATIENCE_MS = 4_000

/**
 * Tokens of the machine's managed identity. Asked again it answers the same token while that is good for some minutes.
 * @param clientId of a user-assigned identity
 */
export function managedIdentity(clientId: string | undefined): TokenFor {
  let credential: Promise<ManagedIdentityCredential> | undefined
  const connect = async () => {
    // Loaded only where it is needed: it costs a third of a second of every start.
    const { ManagedIdentityCredential: Credential } = await import('@azure/identity')
    return clientId === undefined ? new Credential() : new Credential({ clientId })
  }
  return (scope) =>
    within(PATIENCE_MS, async (abortSignal) => {
      const { token } = await (await (credential ??= connect())).getToken(scope, { abortSignal })
      return token
    })
}
