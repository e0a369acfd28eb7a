import { createHash, createPublicKey, ECDH, randomBytes, verify } from 'node:crypto'
import {
  bytesToHex,
  createIdentity,
  digestOf,
  drillCanary,
  hexToBytes,
  quorum,
  runKeygen,
  runSignBatch,
  type DrillSubject,
  type HashAlgo,
  type KeyShare,
  type PairSetup,
  type PartyIndex,
  type RoomLink,
  type SetupCache,
  type Signable,
  type Signature,
} from '@vertex/mpc'
import { PairSetup as MadeSetup } from '../../../mpc/src/setup/index.js'
import type { Backup, Caller, DrilledBackup, SignatureHex } from '../../../src/vault/index.js'
import { suite, type World } from './world.js'

/** The other party of a key: what an app with the SDK is, in this process. */
export class Client {
  readonly identity = createIdentity(suite.channel, 'client')
  readonly setups = new Map<PartyIndex, PairSetup>()
  readonly retired: string[] = []
  share: KeyShare | undefined
  /** Stands between this party and its cache of setups; for parties that cheat. */
  corrupt: (setup: PairSetup) => PairSetup = (setup) => setup

  get keygenId(): string {
    return bytesToHex(this.identity.keygenId)
  }

  /** Stands between this party and its room. */
  wrap: (link: RoomLink) => RoomLink = (link) => link

  readonly #cache: SetupCache = {
    load: (peer) => {
      const setup = this.setups.get(peer)
      return Promise.resolve(setup && this.corrupt(setup))
    },
    save: (peer, setup) => {
      this.setups.set(peer, setup)
      return Promise.resolve()
    },
    retire: (id, peer) => {
      this.retired.push(bytesToHex(id))
      this.setups.delete(peer)
      return Promise.resolve()
    },
    alive: (id) => !this.retired.includes(bytesToHex(id)),
  }

  async join(world: World, roomUuid: string): Promise<RoomLink> {
    const label = this.identity.keygenId
    return this.wrap(await world.rooms.join(roomUuid, label, { deadlineMs: 10_000 }))
  }

  async keygen(
    world: World,
    roomUuid: string,
    keygenIds: readonly string[],
    threshold: number,
  ): Promise<KeyShare> {
    this.share = await runKeygen({
      suite,
      link: await this.join(world, roomUuid),
      room: hexToBytes(roomUuid.replaceAll('-', '')),
      quorum: quorum(threshold, keygenIds.length),
      identity: this.identity,
      keygenIds: keygenIds.map(hexToBytes),
      keep: (share) => {
        this.share = share
        return Promise.resolve()
      },
      setups: this.#cache,
    })
    return this.share
  }

  async sign(
    world: World,
    roomUuid: string,
    digest: Uint8Array,
    path: readonly number[] = [],
  ): Promise<Signature> {
    const [signature] = await this.signBatch(world, roomUuid, [{ digest, path }])
    return signature!
  }

  async signBatch(
    world: World,
    roomUuid: string,
    batch: readonly Signable[],
  ): Promise<Signature[]> {
    return runSignBatch({
      suite,
      link: await this.join(world, roomUuid),
      room: hexToBytes(roomUuid.replaceAll('-', '')),
      share: this.share!,
      batch,
      setups: this.#cache,
    })
  }
}

/** How a client takes part in a drill. */
export interface DrillSide {
  /** What it means by the drill; its own words if absent. */
  readonly subject?: Partial<DrillSubject>
  /** Its part of the OT setup differs from the vault's. */
  readonly cheats?: boolean
}

/** A drill by both parties; tells how each of them ended. */
export async function settleDrill(
  world: World,
  caller: Caller,
  { client }: SharedKey,
  backup: Backup,
  { subject = {}, cheats = false }: DrillSide = {},
): Promise<[PromiseSettledResult<DrilledBackup>, PromiseSettledResult<Signature[]>]> {
  const { roomUuid } = await world.vault.createRoom(caller, 2)
  const share = client.share!
  const nonce = new Uint8Array(randomBytes(32))
  const canary = drillCanary({
    publicKey: share.publicKey,
    epoch: share.epoch,
    blobDigest: createHash('sha256').update(Buffer.from(backup.keyShare, 'base64')).digest(),
    nonce,
    ...subject,
  })
  const retired: string[] = []
  const setups: SetupCache = {
    load: () => Promise.resolve(undefined),
    save: (_, { leaves }) => {
      // One leaf of each tree; of a single tree the vault might happen not to hold it.
      if (cheats) for (let leaf = 0; leaf < leaves.length; leaf += 4 * 32) leaves[leaf]! ^= 1
      return Promise.resolve()
    },
    retire: (id) => Promise.resolve(retired.push(bytesToHex(id)) === 1),
    alive: (id) => !retired.includes(bytesToHex(id)),
  }
  const own = async () =>
    runSignBatch({
      suite,
      link: await client.join(world, roomUuid),
      room: hexToBytes(roomUuid.replaceAll('-', '')),
      share,
      batch: [{ digest: canary, path: [] }],
      setups,
    })
  return Promise.allSettled([
    world.vault.drillBackup(caller, { ...backup, roomUuid, nonce: bytesToHex(nonce) }),
    own(),
  ])
}

/** A key that a caller's vault and a client share. */
export interface SharedKey {
  readonly keyId: string
  readonly pubkey: string
  readonly client: Client
}

/** create, then keygen 2-of-2 in one room. */
export async function makeKey(world: World, caller: Caller): Promise<SharedKey> {
  const client = new Client()
  const { keyId, keygenId } = await world.vault.createKey(caller)
  const { roomUuid } = await world.vault.createRoom(caller, 2)
  const [made] = await both(
    world.vault.keygen(caller, {
      keyId,
      roomUuid,
      numParties: 2,
      threshold: 2,
      othersKeygenIds: [client.keygenId],
    }),
    client.keygen(world, roomUuid, [keygenId, client.keygenId], 2),
  )
  return { keyId, pubkey: made.pubkey, client }
}

export interface SignOptions {
  readonly keyId?: string
  readonly message?: string
  readonly hashAlgo?: HashAlgo
  readonly path?: readonly number[]
}

/** Signs with both parties; answers what the vault answers. */
export async function signTogether(
  world: World,
  caller: Caller,
  key: SharedKey,
  options: SignOptions = {},
): Promise<SignatureHex> {
  const [vaults, clients] = await settleBoth(world, caller, key, options)
  if (vaults.status === 'rejected') throw vaults.reason
  if (clients.status === 'rejected') throw clients.reason
  return vaults.value
}

/** Runs one signature on both sides and tells how each of them ended. */
export async function settleBoth(
  world: World,
  caller: Caller,
  key: SharedKey,
  { keyId = key.keyId, message = 'hello', hashAlgo = 'sha256', path = [] }: SignOptions = {},
): Promise<[PromiseSettledResult<SignatureHex>, PromiseSettledResult<Signature>]> {
  const { roomUuid } = await world.vault.createRoom(caller, 2)
  const bytes = new TextEncoder().encode(message)
  const msg = bytesToHex(bytes)
  return Promise.allSettled([
    world.vault.sign(caller, { keyId, roomUuid, msg, hashAlgo, derivationPath: path }),
    key.client.sign(world, roomUuid, digestOf(bytes, hashAlgo), path),
  ])
}

/** A client that cheats: its part of the OT setup differs from the vault's, so the vault's check of it fails. */
export function cheat(client: Client): void {
  client.corrupt = (setup) => {
    const leaves = setup.leaves.slice()
    // One leaf of each tree; of a single tree the vault might happen not to hold it.
    for (let leaf = 0; leaf < leaves.length; leaf += 4 * 32) leaves[leaf]! ^= 1
    return new MadeSetup({ ...partsOf(setup), leaves })
  }
}

const partsOf = ({ id, me, peer, gadgetSeed, zeroSeed, delta, puncturedLeaves }: PairSetup) => ({
  id,
  me,
  peer,
  gadgetSeed,
  zeroSeed,
  delta,
  puncturedLeaves,
})

export function behave(client: Client): void {
  client.corrupt = (setup) => setup
}

/** Both results; when one side fails, its error, once the other has ended too. */
export async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b])
  if (first.status === 'rejected') throw first.reason
  if (second.status === 'rejected') throw second.reason
  return [first.value, second.value]
}

/** Verifies with OpenSSL, which knows nothing of ours. For signatures over sha256 of a message. */
export function verifies(
  pubkey: string,
  message: string | Uint8Array,
  { der }: { der: string },
): boolean {
  const point = ECDH.convertKey(pubkey, 'secp256k1', 'hex', 'hex', 'uncompressed') as string
  const key = createPublicKey({
    key: Buffer.from(SECP256K1_SPKI + point, 'hex'),
    format: 'der',
    type: 'spki',
  })
  return verify(
    'sha256',
    typeof message === 'string' ? Buffer.from(message) : message,
    key,
    Buffer.from(der, 'hex'),
  )
}

/** SubjectPublicKeyInfo of an uncompressed secp256k1 point, up to the point (RFC 5480). */
const SECP256K1_SPKI = '3056301006072a8648ce3d020106052b8104000a034200'
