import { bytesToHex, hexToBytes } from '@vertex/mpc'
import { VaultError } from './errors.js'
import type { Caller, IdentityContext, VaultIdentityInfo } from './facade.js'
import type { VaultIdentityPort } from './ports.js'
import type { Units } from './units.js'

const HEX32 = /^[0-9a-f]{64}$/i

/** Who this vault is, and the one answer it signs: a client gives its backup away on that answer alone. */
export class NotExists {
  constructor(
    private readonly units: Units,
    /** None in plaintext mode: nothing there survives a loss. */
    private readonly identity: VaultIdentityPort | undefined,
    private readonly vaultName: string,
  ) {}

  async identityInfo(): Promise<VaultIdentityInfo | null> {
    if (this.identity === undefined) return null
    const { generation } = await this.units.run((uow) => uow.meta.get())
    const { publicKey, fingerprint } = this.identity.newest
    const { vaultName } = this
    return { publicKey: bytesToHex(publicKey), fingerprint, vaultName, generation }
  }

  /**
   * The error for a key_id that is not there. Signed when the client sent a nonce and an identity that this vault
   * still has, and only while the database is one that can be believed: writable, migrated, the primary.
   * @param keyId as parsed
   * @throws VaultError `storage_unavailable`
   */
  async error(caller: Caller, keyId: string, context: IdentityContext): Promise<VaultError> {
    return new VaultError(
      'key_id_not_exists',
      'there is no such key_id',
      await this.#statement(caller, keyId, context),
    )
  }

  async #statement({ apiKeyId }: Caller, keyId: string, { nonce, identity }: IdentityContext) {
    if (this.identity === undefined || nonce === undefined || identity === undefined) return {}
    if (!HEX32.test(nonce) || !HEX32.test(identity)) return {}
    await this.units.check()
    const { generation } = await this.units.run((uow) => uow.meta.get())
    const { vaultName } = this
    const signed = this.identity.signKeyIdNotExists(
      { vaultName, apiKeyId, keyId, generation, nonce: hexToBytes(nonce.toLowerCase()) },
      identity.toLowerCase(),
    )
    if (signed === undefined) return {}
    const { publicKey, signature, successor } = signed
    return {
      vault_name: vaultName,
      api_key_id: apiKeyId,
      key_id: keyId,
      generation,
      nonce: nonce.toLowerCase(),
      identity: bytesToHex(publicKey),
      signature: bytesToHex(signature),
      ...(successor && {
        successor: {
          public_key: bytesToHex(successor.publicKey),
          signature: bytesToHex(successor.signature),
        },
      }),
    }
  }
}
