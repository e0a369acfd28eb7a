import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import {
  escrowOf,
  fromBase64,
  KeyserverRefusal,
  makeKeyInit,
  makeUid,
  mapIdentity,
  newEscrowKey,
  newUidSecrets,
  printEscrowKey,
  readEscrowKey,
  toBase64,
  updateUid,
  type Identity,
  type UidContent,
  type UidMessage,
  type UidSecrets,
  type UpdatedBy,
} from '@vertex/directory/keyserver'
import { bytesToHex } from '@vertex/mpc'
import { withDeadline } from './deadline.js'
import { RequestError, UnavailableError, VertexError } from './errors.js'
import { Hashchain, type ChainPlace } from './hashchain.js'
import type { Http } from './http.js'

export type { ChainPlace } from './hashchain.js'

/** Somebody by their name, as the keyserver's chain shows it: all of it was checked here, from the first entry on. */
export interface Name {
  /** As it stands in messages: `alice@mute.example`. */
  readonly identity: string
  /** Ed25519, hex: the key that signs for this name now. */
  readonly signingKey: string
  /** Whether there is a key on paper that can bring the name back. */
  readonly hasEscrowKey: boolean
  /** Which of its keys may be used that are not given out once. */
  readonly forwardSecrecy: string
  /** Nobody knows the name after this, unless it is renewed. */
  readonly expiresAt: Date
  /** The end of the chain. Keep it, and give it as `known` the next time: then no other history is taken for this one. */
  readonly seen: ChainPlace
}

/** What the owner of a name keeps to themselves. It is not stored here. */
export type NameSecrets = UidSecrets

/** The secret of a key that the keyserver gives out, found again by its public half. */
export interface KeyInitSecret {
  /** X25519, hex; a backup that is sealed to it names it. */
  readonly publicKey: string
  readonly secret: Uint8Array
}

export interface NameOptions {
  /** An entry of the chain that was seen before. */
  readonly known?: ChainPlace
  readonly signal?: AbortSignal
}

/** A call that may have to be paid for. */
export interface PaidOptions extends NameOptions {
  /** From `@vertex/directory/tokens`; where the keyserver asks for none it is left out. */
  readonly token?: string
}

/** The secrets of a new name. Keep them before it is registered. */
export const createNameSecrets = (): NameSecrets => newUidSecrets()

/** An escrow key, and the text to print. Keep it on paper only: whoever has it has the name. */
export function createEscrowKey(): { readonly secret: Uint8Array; readonly paper: string } {
  const secret = newEscrowKey()
  return { secret, paper: printEscrowKey(secret) }
}

/** The escrow key on a paper, as it was typed in. @throws RequestError for a wrong digit */
export const escrowKeyOf = (paper: string): Uint8Array => arguable(() => readEscrowKey(paper))

/**
 * The keyserver of a Vertex: names, and keys that are given out once. The server is not believed: the chain that it
 * shows is checked here, and kept as long as this client lives.
 */
export class Names {
  readonly #http: Http
  readonly #deadlineMs: number
  readonly #chain: Hashchain

  constructor(http: Http, deadlineMs: number) {
    this.#http = http
    this.#deadlineMs = deadlineMs
    this.#chain = new Hashchain((method, params, signal) => this.#call(method, params, signal))
  }

  /** @throws VertexError `party_not_found` for a name that nobody has, `chain_invalid` for what does not verify */
  async lookup(name: string, options: NameOptions = {}): Promise<Name> {
    const identity = identityOf(name)
    return this.#within(options, async (signal) => {
      const { message, seen } = await this.#find(identity, options, signal)
      if (message === undefined) throw nobody()
      return nameOf(message, seen)
    })
  }

  /**
   * Takes a name, if nobody has it. It may be called again with the same secrets, when an answer was lost.
   * @param escrow the key that was printed
   * @throws VertexError `name_taken`, `payment_needed`
   */
  async register(
    name: string,
    secrets: NameSecrets,
    options: PaidOptions & {
      readonly escrow?: Uint8Array
      readonly forwardSecrecy?: 'strict' | 'mandatory' | 'optional'
    } = {},
  ): Promise<Name> {
    const identity = identityOf(name)
    const { escrow, forwardSecrecy = 'mandatory' } = options
    return this.#within(options, async (signal) => {
      const { message: before, seen } = await this.#find(identity, options, signal)
      if (before !== undefined) {
        if (isOf(before, secrets)) return nameOf(before, seen)
        throw new VertexError('name_taken', 'somebody has this name')
      }
      const lastEntry = seen.entry
      const made = { identity: identity.text, lastEntry, now: now(), escrow, forwardSecrecy }
      const message = makeUid(secrets, made)
      return this.#say('KeyRepository.CreateUID', message, identity, secrets, options, signal)
    })
  }

  /**
   * Says something new of one's own name: that it goes on, and perhaps other keys. It may have expired, up to a year ago.
   * @param secrets of the last message
   * @param next other secrets, which were kept before; without them the keys stay
   */
  async renew(
    name: string,
    secrets: NameSecrets,
    options: PaidOptions & { readonly next?: NameSecrets } = {},
  ): Promise<Name> {
    return this.#update(name, { sigKey: secrets.sigKey }, options.next ?? secrets, options)
  }

  /**
   * The way back after the loss of a device: with the key on paper the name gets new keys, and those of the device
   * speak for it no more. The name may have expired, up to a year ago. It may be called again with the same secrets.
   * @param escrow {@link escrowKeyOf} the paper
   * @param secrets new ones, which were kept before
   * @throws VertexError `escrow_key_wrong` for a key that is not this name's
   */
  async recover(
    name: string,
    escrow: Uint8Array,
    secrets: NameSecrets,
    options: PaidOptions & { readonly newEscrow?: Uint8Array } = {},
  ): Promise<Name> {
    return this.#update(name, { escrow }, secrets, options, options.newEscrow)
  }

  /**
   * Leaves keys that are given out once, or one that stands in when they are used up. Keep the secrets: each opens what
   * is sealed to its key.
   */
  async publishKeys(
    name: string,
    secrets: NameSecrets,
    count: number,
    options: PaidOptions & { readonly fallback?: boolean } = {},
  ): Promise<readonly KeyInitSecret[]> {
    const { domain } = identityOf(name)
    if (!Number.isInteger(count) || count < 1 || count > 100)
      throw new RequestError('bad_argument', 'count is 1 to 100')
    return this.#within(options, async (signal) => {
      const { fallback } = options
      const made = Array.from({ length: count }, () =>
        makeKeyInit(secrets.sigKey, { repoUri: domain, now: now(), fallback }),
      )
      const params = {
        SigPubKey: toBase64(ed25519.getPublicKey(secrets.sigKey)),
        KeyInits: made.map(({ keyInit }) => keyInit),
        Tokens: options.token === undefined ? [] : [options.token],
      }
      await this.#call('KeyInitRepository.AddKeyInit', params, signal)
      return made.map(({ secret }) => ({
        publicKey: bytesToHex(x25519.getPublicKey(secret)),
        secret,
      }))
    })
  }

  /** The last message of a name, for what relies on it. */
  async contentOf(
    name: string,
    options: NameOptions,
    signal: AbortSignal,
  ): Promise<{ readonly content: UidContent; readonly identity: Identity }> {
    const identity = identityOf(name)
    const { message } = await this.#find(identity, options, signal)
    if (message === undefined) throw nobody()
    return { content: message.UIDContent, identity }
  }

  async #update(
    name: string,
    by: UpdatedBy,
    secrets: NameSecrets,
    options: PaidOptions,
    escrow?: Uint8Array,
  ): Promise<Name> {
    const identity = identityOf(name)
    return this.#within(options, async (signal) => {
      const { message: before, seen } = await this.#find(identity, options, signal, true)
      if (before === undefined) throw nobody()
      // An answer was lost, and this is done already.
      if ('escrow' in by && isOf(before, secrets) && before.UIDContent.NOTAFTER > now())
        return nameOf(before, seen)
      const signer = 'escrow' in by ? by.escrow : by.sigKey
      const expected = 'escrow' in by ? before.UIDContent.SIGESCROW : before.UIDContent.SIGKEY
      if (expected?.PUBKEY !== toBase64(ed25519.getPublicKey(signer)))
        throw 'escrow' in by
          ? new VertexError('escrow_key_wrong', 'this is not the escrow key of this name')
          : new RequestError('bad_argument', 'these are not the secrets of this name')
      const next = { lastEntry: seen.entry, now: now(), escrow }
      const message = updateUid(before, secrets, by, next)
      return this.#say('KeyRepository.UpdateUID', message, identity, secrets, options, signal)
    })
  }

  /** Sends a message, and sees for itself that it is on the chain. */
  async #say(
    method: string,
    message: UidMessage,
    identity: Identity,
    secrets: NameSecrets,
    { token = '' }: PaidOptions,
    signal: AbortSignal,
  ): Promise<Name> {
    await this.#call(method, { UIDMessage: message, Token: token }, signal)
    const { message: shown, seen } = await this.#find(identity, {}, signal)
    if (shown === undefined || !isOf(shown, secrets))
      throw new VertexError('chain_invalid', 'the keyserver has not put the message on its chain')
    return nameOf(shown, seen)
  }

  async #find(identity: Identity, { known }: NameOptions, signal: AbortSignal, byOwner = false) {
    const seen = await this.#chain.sync(signal, known)
    const found = await this.#chain.find(identity.text, identity.domain, now(), signal, byOwner)
    return { message: found?.checked.message, seen }
  }

  #within<T>(options: NameOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(this.#deadlineMs, options.signal, ({ signal }) => work(signal))
  }

  async #call(method: string, params: object, signal: AbortSignal): Promise<unknown> {
    const body = { jsonrpc: '2.0', method, params, id: 1 }
    const { status, text, headers } = await this.#http.send('POST', '/', { body, signal })
    let answer: { readonly result?: unknown; readonly error?: RpcError }
    try {
      answer = JSON.parse(text) as typeof answer
    } catch {
      answer = {}
    }
    if (status === 200 && typeof answer.result === 'object' && answer.result !== null)
      return answer.result
    throw refused(answer.error ?? {}, status, Number(headers['retry-after']))
  }
}

interface RpcError {
  readonly code?: unknown
  readonly message?: unknown
}

/** docs/spec/keyserver.md, 8.2 */
function refused(error: RpcError, status: number, wait: number): VertexError {
  const message = typeof error.message === 'string' ? error.message : 'it may have no keyserver'
  const retryAfter = Number.isFinite(wait) ? wait : undefined
  switch (error.code) {
    case -32004:
      return new UnavailableError('rate_limited', 'too many requests', { status, retryAfter })
    case -32002:
      return new VertexError('name_taken', message, { status })
    case -32003:
      return new VertexError('payment_needed', message, { status })
    case -32001:
      return new VertexError('party_not_found', message, { status })
    default:
  }
  if (status >= 500)
    return new UnavailableError('storage_unavailable', 'the keyserver does not answer now', {
      status,
      retryAfter,
    })
  return new VertexError('bad_response', `the keyserver refused: ${message}`, { status })
}

const now = () => Math.floor(Date.now() / 1000)

const nobody = () => new VertexError('party_not_found', 'nobody has this name')

const isOf = ({ UIDContent }: UidMessage, { sigKey }: NameSecrets): boolean =>
  UIDContent.SIGKEY.PUBKEY === toBase64(ed25519.getPublicKey(sigKey))

function nameOf({ UIDContent: uid }: UidMessage, seen: ChainPlace): Name {
  return {
    identity: uid.IDENTITY,
    signingKey: bytesToHex(fromBase64(uid.SIGKEY.PUBKEY)!),
    hasEscrowKey: escrowOf(uid) !== undefined,
    forwardSecrecy: uid.PREFERENCES.FORWARDSEC,
    expiresAt: new Date(uid.NOTAFTER * 1000),
    seen,
  }
}

const identityOf = (name: string): Identity => arguable(() => mapIdentity(name))

/** What is wrong with an argument. @throws RequestError */
function arguable<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof KeyserverRefusal)) throw error
    throw new RequestError('bad_argument', error.message, { cause: error })
  }
}
