import { formatVerifierKey, verifierOf, type SignerKey } from '@vertex/directory/log'
import type { Config } from '../config.js'
import { Appender, type AppenderParts } from '../directory/log/appender.js'
import { withProofs } from '../directory/log/proving.js'
import { SignedLog } from '../directory/log/signed.js'
import { logSystem } from '../directory/log/system.js'
import type { System } from '../directory/system.js'
import type { StorageKey } from '../seal/index.js'
import type { OpenStore } from '../store/index.js'

/** The directory's log in the service. */
export interface ComposedLog {
  readonly system: System
  /** Another system of the directory, whose answers carry their proof where they are asked for it. */
  readonly proving: (system: System) => System
  /** Takes in what comes, from now on. */
  begin(): void
  /** Takes in what there is, if that is quickly done. */
  end(): Promise<void>
}

/** The key of the log of one generation, under its name. docs/spec/directory-log.md, section 5 */
export function logSigner(
  { logOrigin, vaultName }: Pick<Config, 'logOrigin' | 'vaultName'>,
  storageKey: StorageKey,
  generation: string,
): SignerKey {
  const base = logOrigin ?? `vertex.invalid/${vaultName}`
  return { name: `${base}/${generation}`, seed: storageKey.logSeed(generation) }
}

export async function composeLog(
  config: Config,
  store: OpenStore,
  storageKey: StorageKey,
  parts: Pick<AppenderParts, 'clock' | 'log' | 'mayWrite'>,
): Promise<ComposedLog> {
  const { generation } = await store.run(({ meta }) => meta.get())
  const signer = logSigner(config, storageKey, generation)
  const appender = new Appender({ ...parts, store, signer, generation })
  const signed = new SignedLog(store, appender.key)
  return {
    system: logSystem(signed),
    proving: (system) => withProofs(system, signed),
    begin: () => appender.begin(),
    end: () => appender.end(),
  }
}

/** What the checkpoints of this log are verified with, as text. */
export const verifierKeyOf = (signer: SignerKey): string => formatVerifierKey(verifierOf(signer))
