import { primaryOfSigner, type Signer } from '@vertex/directory/sigchain'
import { bytesToHex, identityOf, type Suite } from '@vertex/mpc'
import type { Config } from '../config.js'
import { NotPublished, publish } from '../directory/sigchain/own.js'
import { ChainUnusable, Parties } from '../directory/sigchain/parties.js'
import { recipientSeal, type PartySecrets } from '../seal/index.js'
import type { UnitStore } from '../store/index.js'
import { StorageUnavailable } from '../vault/ports.js'
import type { VaultParts } from '../vault/index.js'
import type { NamePort } from '../vault/ports.js'
import { clock } from './clock.js'
import type { TakeNote } from './notes.js'

/** What the vault has of the directory, and what it says there of itself. */
export interface Party {
  readonly directory: VaultParts['directory']
  /** Brings the chains of this vault to where they say who it is, or warns: the vault serves without. */
  publish(): Promise<void>
}

/**
 * @param names undefined where no names are given out
 * @param secrets of each enabled version of the backup secret, the newest first
 * docs/spec/identities.md, section 4
 */
export function composeParty(
  { directory, publicHost }: Pick<Config, 'directory' | 'publicHost'>,
  suite: Suite,
  store: UnitStore,
  secrets: readonly [PartySecrets, ...PartySecrets[]],
  note: TakeNote,
  names: NamePort | undefined,
): Party {
  const parties = new Parties(store)
  const [signer, ...former] = secrets.map(({ seed }): Signer => ({
    scheme: 'ed25519',
    secret: seed,
  }))
  const primary = primaryOfSigner(signer!).text
  const { keygenId } = identityOf(suite.channel, secrets[0].keygenSecret, 'vertex')
  const persistentKeygenId = bytesToHex(keygenId)
  const own = { primary, persistentKeygenId, host: publicHost ?? null }
  const publishing = { store, parties, now: () => clock.now() }

  const bring = async (of: Signer, subjects: readonly string[], begin: boolean): Promise<void> => {
    try {
      await publish(publishing, { signer: of, subjects }, { begin })
    } catch (error) {
      const mayServe =
        error instanceof ChainUnusable ||
        error instanceof NotPublished ||
        error instanceof StorageUnavailable
      if (!mayServe) throw error
      note('warn', `the sigchain of ${primaryOfSigner(of).text} is left as it is: ${error.message}`)
    }
  }

  return {
    directory: { parties, names, own, recipients: recipientSeal },
    publish: async () => {
      if (!directory) return
      const host = publicHost === undefined ? [] : [`vertex:${publicHost}`]
      await bring(signer!, [`keygen:${persistentKeygenId}`, ...host], true)
      for (const one of former) await bring(one, [primary], false)
    },
  }
}
