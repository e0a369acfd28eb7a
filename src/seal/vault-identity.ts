import {
  bytesToHex,
  signDrillReport,
  signKeyIdNotExists,
  signSuccessor,
  vaultIdentityFingerprint,
} from '@vertex/mpc'
import type { VaultIdentityPort, VaultIdentityPublic } from '../vault/ports.js'
import type { BackupSecrets } from './backup-secrets.js'
import type { BackupSecret } from './hierarchy.js'

/**
 * The identity of this vault: one for each enabled version of the backup secret. The newest is shown to new keys; an
 * older one still answers clients that pinned it, and vouches for the newest.
 */
export function vaultIdentity(secrets: BackupSecrets): VaultIdentityPort {
  return {
    get newest() {
      return publicHalf(secrets.all()[0]!)
    },
    signKeyIdNotExists(statement, pinnedFingerprint) {
      const all = secrets.all()
      const newest = all[0]!
      const pinned = all.find((one) => publicHalf(one).fingerprint === pinnedFingerprint)
      if (pinned === undefined) return undefined
      const signed = {
        publicKey: pinned.identityPublicKey,
        signature: signKeyIdNotExists(pinned.identitySeed(), statement),
      }
      if (pinned === newest) return signed
      const publicKey = newest.identityPublicKey
      const signature = signSuccessor(pinned.identitySeed(), {
        vaultName: statement.vaultName,
        successor: publicKey,
      })
      return { ...signed, successor: { publicKey, signature } }
    },
    signDrillReport(report, pinnedFingerprint) {
      const all = secrets.all()
      const signer = all.find((one) => publicHalf(one).fingerprint === pinnedFingerprint) ?? all[0]!
      return {
        publicKey: signer.identityPublicKey,
        signature: signDrillReport(signer.identitySeed(), report),
      }
    },
  }
}

function publicHalf({ identityPublicKey: publicKey }: BackupSecret): VaultIdentityPublic {
  return { publicKey, fingerprint: bytesToHex(vaultIdentityFingerprint(publicKey)) }
}
