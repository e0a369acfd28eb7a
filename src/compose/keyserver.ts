import { createPublicKey } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { fromBase64, mapLocalpart } from '@vertex/directory/keyserver'
import type { KeyserverConfig } from '../config.js'
import type { KeyserverSettings } from '../directory/keyserver/settings.js'
import { TokenKeys } from '../directory/keyserver/tokens.js'
import { createSecretFile, loadNewest, secretSource } from '../seal/index.js'
import { StartRefused } from '../vault/index.js'

const PEM = /-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g
const MOST_BYTES = 64 * 1024

/**
 * What the keyserver needs of its configuration.
 * @param seed 32 bytes
 * @throws StartRefused
 */
export async function keyserverOf(
  config: KeyserverConfig | undefined,
  seed: Uint8Array,
): Promise<KeyserverSettings | undefined> {
  if (config === undefined) return undefined
  const { domains, reserved, tokenKeyFile, escrowKey } = config
  const tokenKeys = tokenKeyFile === undefined ? [] : await readTokenKeys(tokenKeyFile)
  const escrow = escrowKey === undefined ? undefined : fromBase64(escrowKey, 32)
  if (escrowKey !== undefined && escrow === undefined)
    throw new StartRefused('the escrow key of the keyserver must be base64 of 32 bytes')
  return { domains, reserved: reserved.map(mapLocalpart), seed, tokenKeys, escrowKey: escrow }
}

async function readTokenKeys(path: string): Promise<readonly string[]> {
  const refused = (why: string) =>
    new StartRefused(`the token key of the keyserver, ${path}, ${why}`)
  let text: string
  try {
    if ((await stat(path)).size > MOST_BYTES) throw new Error('too long')
    text = await readFile(path, 'utf8')
  } catch {
    throw refused('cannot be read')
  }
  const pems = text.match(PEM) ?? []
  if (pems.length === 0) throw refused('has no public key: make it with vertex token key')
  try {
    for (const pem of pems) createPublicKey(pem)
    new TokenKeys(pems)
  } catch {
    throw refused('must have RSA keys of 2048 to 4096 bits')
  }
  return pems
}

/**
 * A keyserver that is served by itself.
 * @param keyFile of its seed
 * @throws what `isForOperator` knows
 */
export const standaloneKeyserver = async (
  config: KeyserverConfig,
  keyFile: string,
): Promise<KeyserverSettings | undefined> => keyserverOf(config, await keyserverSeed(keyFile))

/**
 * The seed of a keyserver that is served by itself, out of its file, which is made where there is none.
 * @throws what `isForOperator` knows
 */
async function keyserverSeed(path: string): Promise<Uint8Array> {
  const setting = '--key'
  try {
    await stat(path)
  } catch {
    await createSecretFile(setting, path)
  }
  const { bytes } = await loadNewest(secretSource({ kind: 'file', setting, path }, () => undefined))
  return bytes
}
