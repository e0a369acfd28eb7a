import { concatBytes, equalBytes, wipe } from '../bytes.js'
import { ChannelError } from './channel-error.js'
import type { ChannelCrypto, EphemeralKey } from './crypto.js'
import type { IdentityKey } from './identity-key.js'
import { nonce, Transport } from './transport.js'

/**
 * Noise_KK_25519_ChaChaPoly_SHA256 (Noise Protocol Framework, revision 34): two parties that know each other's static
 * key agree on a channel in two messages. docs/spec/channel.md
 */
const PROTOCOL_NAME = Uint8Array.from('Noise_KK_25519_ChaChaPoly_SHA256', (c) => c.charCodeAt(0))

/** The bytes of an empty-payload handshake message: an ephemeral key and a tag. */
export const HANDSHAKE_OVERHEAD = 32 + 16

const empty = new Uint8Array(0)
const zeros = new Uint8Array(32)

export interface HandshakeInput {
  readonly crypto: ChannelCrypto
  /** What both sides must mean, byte for byte, or nothing decrypts. */
  readonly prologue: Uint8Array
  /** The own static X25519 secret. */
  readonly identity: IdentityKey
  /** Its public key, which every party knows already; computing it again costs as much as an agreement. */
  readonly own: Uint8Array
  /** The other side's static X25519 public key, 32 bytes. */
  readonly peer: Uint8Array
}

/** What a finished handshake gives either side. */
export interface Established {
  /** 32 bytes, the same on both sides, different for every handshake. */
  readonly handshakeHash: Uint8Array
  /** The two fresh ephemeral keys, 32 bytes each: what each side contributed to this run. */
  readonly contributions: { readonly initiator: Uint8Array; readonly responder: Uint8Array }
  readonly transport: Transport
}

/** An initiator that has sent its message. */
export interface Initiator {
  readonly message: Uint8Array
  /**
   * Reads the responder's message. One that does not decrypt changes nothing, so that the true one can still come;
   * after the true one the handshake is used up.
   * @throws ChannelError
   */
  finish(message: Uint8Array): Established & { readonly payload: Uint8Array }
}

/** A responder that has read an initiator's message. */
export interface Responder {
  readonly payload: Uint8Array
  /** Answers, once. @throws ChannelError on a second call */
  reply(payload: Uint8Array): Established & { readonly message: Uint8Array }
}

/** Starts a handshake as the initiator. @throws ChannelError for a static key of small order */
export function initiate(input: HandshakeInput, payload: Uint8Array = empty): Initiator {
  return initiateWith(input, input.crypto.ephemeral(), payload)
}

/**
 * Answers a handshake message as the responder. Every message is read with a state of its own.
 * @throws ChannelError when it does not decrypt
 */
export function respond(input: HandshakeInput, message: Uint8Array): Responder {
  return respondWith(input, () => input.crypto.ephemeral(), message)
}

/** `initiate` with a given ephemeral key: for published vectors only. */
export function initiateWith(
  { crypto, prologue, identity, own, peer }: HandshakeInput,
  ephemeral: EphemeralKey,
  payload: Uint8Array,
): Initiator {
  const state = SymmetricState.begin(crypto, prologue, own, peer)
  const e = ephemeral.publicKey
  state.mixHash(e) // → e
  state.mixKey(dh(() => ephemeral.agree(peer))) // es
  state.mixKey(dh(() => identity.agreeStatic(peer))) // ss
  const message = concatBytes(e, state.encryptAndHash(payload))

  let held: SymmetricState | undefined = state
  return {
    message,
    finish(answer) {
      if (held === undefined) throw new ChannelError('this handshake has been used already')
      if (answer.length < HANDSHAKE_OVERHEAD)
        throw new ChannelError('a handshake message too short')
      const attempt = held.clone()
      const re = answer.slice(0, 32)
      attempt.mixHash(re) // ← e
      attempt.mixKey(dh(() => ephemeral.agree(re))) // ee
      attempt.mixKey(dh(() => identity.agree(re))) // se
      const received = attempt.decryptAndHash(answer.subarray(32))
      held.forget()
      held = undefined
      ephemeral.forget()
      const { handshakeHash, first, second } = attempt.split()
      return {
        payload: received,
        handshakeHash,
        contributions: { initiator: e, responder: re },
        transport: new Transport(crypto, first, second),
      }
    },
  }
}

/** `respond` with a given ephemeral key: for published vectors only. */
export function respondWith(
  { crypto, prologue, identity, own, peer }: HandshakeInput,
  ephemeral: () => EphemeralKey,
  message: Uint8Array,
): Responder {
  if (message.length < HANDSHAKE_OVERHEAD) throw new ChannelError('a handshake message too short')
  const state = SymmetricState.begin(crypto, prologue, peer, own)
  const re = message.slice(0, 32)
  state.mixHash(re) // → e
  state.mixKey(dh(() => identity.agree(re))) // es
  state.mixKey(dh(() => identity.agreeStatic(peer))) // ss
  const received = state.decryptAndHash(message.subarray(32))

  let held: SymmetricState | undefined = state
  return {
    payload: received,
    reply(payload) {
      const taken = held
      held = undefined
      if (taken === undefined) throw new ChannelError('this handshake has been used already')
      const pair = ephemeral()
      const e = pair.publicKey
      taken.mixHash(e) // ← e
      taken.mixKey(dh(() => pair.agree(re))) // ee
      taken.mixKey(dh(() => pair.agree(peer))) // se
      const answer = concatBytes(e, taken.encryptAndHash(payload))
      pair.forget()
      const { handshakeHash, first, second } = taken.split()
      return {
        message: answer,
        handshakeHash,
        contributions: { initiator: re, responder: e },
        transport: new Transport(crypto, second, first),
      }
    },
  }
}

/** X25519 that refuses the all-zero result, whatever the backend does (RFC 7748, section 6.1). */
function dh(agree: () => Uint8Array): Uint8Array {
  let shared: Uint8Array
  try {
    shared = agree()
  } catch {
    throw new ChannelError('a public key of small order')
  }
  if (equalBytes(shared, zeros)) throw new ChannelError('a public key of small order')
  return shared
}

/** Noise, sections 5.1 and 5.2. After the first mixKey there is always a key: KK encrypts every payload. */
class SymmetricState {
  #h: Uint8Array
  #ck: Uint8Array
  #k: Uint8Array | undefined
  #n = 0

  private constructor(
    private readonly crypto: ChannelCrypto,
    h: Uint8Array,
    ck: Uint8Array,
  ) {
    this.#h = h
    this.#ck = ck
  }

  static begin(
    crypto: ChannelCrypto,
    prologue: Uint8Array,
    initiator: Uint8Array,
    responder: Uint8Array,
  ): SymmetricState {
    // The name has exactly 32 bytes, so it stands for its own hash.
    const state = new SymmetricState(crypto, PROTOCOL_NAME, PROTOCOL_NAME.slice())
    for (const part of [prologue, initiator, responder]) state.mixHash(part)
    return state
  }

  clone(): SymmetricState {
    const copy = new SymmetricState(this.crypto, this.#h, this.#ck.slice())
    copy.#k = this.#k?.slice()
    copy.#n = this.#n
    return copy
  }

  mixHash(data: Uint8Array): void {
    this.#h = this.crypto.sha256(concatBytes(this.#h, data))
  }

  mixKey(secret: Uint8Array): void {
    const [ck, k] = this.crypto.hkdf(this.#ck, secret)
    wipe(secret, this.#ck)
    if (this.#k !== undefined) wipe(this.#k)
    this.#ck = ck
    this.#k = k
    this.#n = 0
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.crypto.encrypt(this.#key(), nonce(this.#n++), this.#h, plaintext)
    this.mixHash(ciphertext)
    return ciphertext
  }

  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    let plaintext: Uint8Array
    try {
      plaintext = this.crypto.decrypt(this.#key(), nonce(this.#n), this.#h, ciphertext)
    } catch {
      throw new ChannelError('a handshake message that does not decrypt')
    }
    this.#n++
    this.mixHash(ciphertext)
    return plaintext
  }

  split(): { handshakeHash: Uint8Array; first: Uint8Array; second: Uint8Array } {
    const [first, second] = this.crypto.hkdf(this.#ck, empty)
    const handshakeHash = this.#h
    this.forget()
    return { handshakeHash, first, second }
  }

  forget(): void {
    wipe(this.#ck)
    if (this.#k !== undefined) wipe(this.#k)
    this.#k = undefined
  }

  #key(): Uint8Array {
    if (this.#k === undefined) throw new ChannelError('this handshake has been used already')
    return this.#k
  }
}
