import { createInterface } from 'node:readline'
import {
  azureKeyVault,
  BackupSecrets,
  type Patience,
  type SealEvent,
} from '../../../src/seal/index.js'
import { SecretSettingError, SecretsUnavailable } from '../../../src/seal/index.js'
import { VaultError } from '../../../src/vault/errors.js'

/**
 * Reads a key vault as the server does, in a process of its own. One JSON line in is one question, one line out its
 * answer. Secrets are told by their fingerprints.
 */

export type Question =
  | { op: 'load'; vaultUrl: string; name: string; clientId?: string; patience?: Patience }
  | { op: 'all' | 'newest' }
  | { op: 'find'; fingerprint: string; name: string; version: string }
  /** Lets so much time pass for whoever asks for the time. */
  | { op: 'pass'; ms: number }

export interface Answer {
  readonly ok?: readonly { readonly id: string; readonly version: string }[]
  readonly error?: {
    readonly type: string
    readonly message: string
    readonly retryAfter: number | undefined
  }
  readonly events: readonly SealEvent[]
  readonly tookMs: number
}

let now = 1_000_000
let secrets: BackupSecrets | undefined
const events: SealEvent[] = []

async function answer(question: Question): Promise<Answer['ok']> {
  if (question.op === 'pass') {
    now += question.ms
    return []
  }
  if (question.op === 'load') {
    const { vaultUrl, name, clientId, patience } = question
    const log = (event: SealEvent) => events.push(event)
    const setting = 'VERTEX_BACKUP_SECRET_NAME'
    const source = azureKeyVault({ setting, vaultUrl, name, clientId }, log, patience)
    const storageFingerprint = new Uint8Array(32)
    const clock = { now: () => now }
    secrets = await BackupSecrets.load(source, {
      vaultName: 'vertex',
      clock,
      log,
      storageFingerprint,
    })
  }
  if (secrets === undefined) throw new Error('nothing is loaded')
  if (question.op === 'newest') return [describe(await secrets.newest())]
  if (question.op === 'find') {
    const { name, version } = question
    const fingerprint = new Uint8Array(Buffer.from(question.fingerprint, 'hex'))
    return [describe(await secrets.find({ fingerprint, name, version }))]
  }
  return secrets.all().map(describe)
}

const describe = ({ id, version }: { id: string; version: string }) => ({ id, version })

function described(error: unknown): Answer['error'] {
  const { message } = error as Error
  if (error instanceof VaultError) {
    const retryAfter = error.details['retry_after'] as number | undefined
    return { type: error.errType, message, retryAfter }
  }
  if (error instanceof SecretsUnavailable)
    return { type: error.name, message, retryAfter: error.retryAfter }
  const type = error instanceof SecretSettingError ? error.name : 'bug'
  return { type, message, retryAfter: undefined }
}

for await (const line of createInterface({ input: process.stdin })) {
  const began = performance.now()
  let result: Pick<Answer, 'ok' | 'error'>
  try {
    result = { ok: (await answer(JSON.parse(line) as Question)) ?? [] }
  } catch (error) {
    result = { error: described(error)! }
  }
  const tookMs = performance.now() - began
  process.stdout.write(JSON.stringify({ ...result, events: events.splice(0), tookMs }) + '\n')
}
