import { nobleSuite } from '@vertex/mpc'
import { VaultError } from '../../src/vault/errors.js'
import type { BackupSeal } from '../../src/vault/ports.js'
import {
  BackupSecrets,
  encryptedBackups,
  type SecretSource,
  type SecretVersion,
} from '../../src/seal/index.js'

export const suite = nobleSuite()
export const vaultName = 'test-vault'
export const userId = '0b7a3bd4-3c4c-4a3f-8f0e-5b4d1f5a9c01'
export const keyId = 'b4b1f3b2-8a64-4f0a-9a34-0c2f6c6f7a02'
export const subject = { userId, keyId, createdAt: 1_760_000_000_000 }

/** A secret source that a test fills by hand. Newest first. */
export function heldSource(...enabled: SecretVersion[]) {
  const source = {
    setting: 'VERTEX_BACKUP_SECRET_NAME',
    changes: true,
    enabled,
    disabled: [] as { name: string; version: string }[],
    loads: 0,
    trouble: undefined as Error | undefined,
    load() {
      source.loads++
      if (source.trouble !== undefined) return Promise.reject(source.trouble)
      return Promise.resolve({ enabled: source.enabled, disabled: source.disabled })
    },
  }
  return source satisfies SecretSource
}

export function version(byte: number, name = 'backup', id = `v${byte}`): SecretVersion {
  return { bytes: new Uint8Array(32).fill(byte), name, version: id }
}

export function loadSecrets(source: SecretSource, name = vaultName, now = { ms: 0 }) {
  return BackupSecrets.load(source, {
    vaultName: name,
    clock: { now: () => now.ms },
    log: () => undefined,
    storageFingerprint: new Uint8Array(32),
  })
}

export async function sealWith(source: SecretSource, name = vaultName): Promise<BackupSeal> {
  return encryptedBackups({ vaultName: name, suite }, await loadSecrets(source, name))
}

/** What became of opening: `opened`, or the error type and, behind a colon, the reason meant for the log. */
export async function outcome(opening: Promise<unknown>): Promise<string> {
  try {
    await opening
    return 'opened'
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    const reason = error.cause instanceof Error ? `: ${error.cause.message}` : ''
    return error.errType + reason
  }
}
