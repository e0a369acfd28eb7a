import { ProtocolAbort } from '../abort.js'
import { equalBytes, u8 } from '../bytes.js'
import { ChannelError } from '../channel/channel-error.js'
import type { ChannelCrypto } from '../channel/crypto.js'
import { channelKey } from '../channel/identity.js'
import type { IdentityKey } from '../channel/identity-key.js'
import {
  HANDSHAKE_OVERHEAD,
  initiate,
  respond,
  type Established,
  type HandshakeInput,
  type Initiator,
} from '../channel/noise.js'
import { partyIndex, type PartyIndex } from '../party.js'
import { RoomClosed, type RoomEvent, type RoomLink } from '../room/link.js'
import { tags } from '../tags.js'
import { Transcript, type KeyedHash } from '../transcript.js'
import { RunFailed, type MissingParty } from './failures.js'
import { compareOffers, noSetup, OFFER_BYTES } from './offer.js'
import { bytesAhead, Peer } from './peer.js'
import { encodeAbort } from './wire.js'

/** How many unauthenticated messages of one slot are looked at; each costs a few curve multiplications. */
const MOST_TRIES = 16
/** How many handshakes one slot may have open with us: a replayed first message must not shut out the true one. */
const MOST_CANDIDATES = 4

const nothing = new Uint8Array(0)

/** Every run ends by leaving, so no stack is taken each time. */
const left = new RunFailed('left')

export interface MeetingInput {
  readonly crypto: ChannelCrypto
  readonly hash: KeyedHash
  readonly link: RoomLink
  readonly room: Uint8Array
  readonly operation: 'keygen' | 'sign'
  /** How many are made in this run; one if absent. */
  readonly signatures?: number
  readonly me: PartyIndex
  /** The secret behind the own keygen_id. */
  readonly identity: IdentityKey
  /** All parties', ascending. */
  readonly keygenIds: readonly Uint8Array[]
  /** The encoded offer for a peer. */
  readonly offerFor: (peer: PartyIndex) => Uint8Array
}

/** A slot whose label names a party; whether it is that party the handshake tells. */
interface Guest {
  readonly party: MissingParty
  readonly handshake: HandshakeInput
  readonly initiator: Initiator | undefined
  candidates: Established[]
  tries: number
  peer: Peer | undefined
}

/**
 * Meets the other parties of a room: a Noise handshake with each, then the comparison of what both sides think the
 * run is about. What comes from a slot before it has authenticated is dropped unless it decrypts: it changes nothing
 * and blames nobody. docs/spec/run.md, steps 1 to 4
 */
export class Meeting {
  /** Resolves when everybody has come. @throws RunFailed, SessionMismatch, ProtocolAbort */
  readonly complete: Promise<void>
  readonly #input: MeetingInput
  readonly #guests = new Map<number, Guest>()
  readonly #peers = new Map<PartyIndex, Peer>()
  readonly #offers = new Map<PartyIndex, Uint8Array>()
  #prologue: Uint8Array | undefined
  #settle!: { resolve(): void; reject(error: unknown): void }
  #over = false

  constructor(input: MeetingInput) {
    this.#input = input
    this.complete = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.complete.catch(() => undefined)
    void this.#listen()
  }

  /** The other parties of the run, ascending. */
  get peers(): readonly Peer[] {
    return [...this.#peers.values()].sort((a, b) => a.index - b.index)
  }

  /** All parties of the run, this one included, ascending. */
  get present(): readonly PartyIndex[] {
    return [this.#input.me, ...this.#peers.keys()].sort((a, b) => a - b)
  }

  /** Tells everybody who has authenticated that this party gives up, with the code of the failed check if there is one. */
  giveUp(error: unknown): void {
    const notice = encodeAbort(error instanceof ProtocolAbort ? error : undefined)
    for (const peer of this.#peers.values()) {
      try {
        peer.sendRaw(notice)
      } catch {
        // The room has ended for us: nobody can be told any more.
      }
    }
  }

  /** Leaves the room and destroys the channels' keys. Idempotent. */
  leave(): void {
    this.#over = true
    this.#input.link.leave()
    for (const peer of this.#peers.values()) {
      // Where one of several has ended the run, what is still done with another has secrets to overwrite.
      peer.end(left)
      peer.close()
    }
    for (const guest of this.#guests.values())
      for (const candidate of guest.candidates) candidate.transport.close()
  }

  async #listen(): Promise<void> {
    try {
      while (!this.#over) this.#take(await this.#input.link.receive())
    } catch (error) {
      this.#fail(error)
    }
  }

  #take(event: RoomEvent): void {
    try {
      if (event.type === 'peer') this.#welcome(event.slot, event.label)
      else this.#hear(event.from, event.bytes)
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error
      // Whoever caused this is not the party it claims to be, or not in this run: as if it had never come.
    }
  }

  #welcome(slot: number, label: Uint8Array): void {
    const { link, keygenIds, me, crypto, identity } = this.#input
    if (slot === link.slot || slot < 1 || slot > link.size || this.#guests.has(slot)) return
    const rank = keygenIds.findIndex((id) => equalBytes(id, label))
    if (rank < 0 || rank + 1 === me) return
    const party = { index: partyIndex(rank + 1), keygenId: keygenIds[rank]! }
    const handshake = {
      crypto,
      prologue: (this.#prologue ??= this.#hashPrologue()),
      identity,
      own: channelKey(keygenIds[me - 1]!),
      peer: channelKey(party.keygenId),
    }
    const initiator = this.#movesFirst(party.index) ? initiate(handshake) : undefined
    this.#guests.set(slot, {
      party,
      handshake,
      initiator,
      candidates: [],
      tries: 0,
      peer: undefined,
    })
    if (initiator !== undefined) link.send(slot, initiator.message)
  }

  #hear(slot: number, bytes: Uint8Array): void {
    const guest = this.#guests.get(slot)
    if (guest === undefined) return
    if (guest.peer !== undefined) {
      this.#deliver(guest.peer, bytes)
      return
    }
    if (this.#peers.has(guest.party.index) || guest.tries++ >= MOST_TRIES) return
    if (guest.initiator !== undefined) this.#finish(slot, guest, guest.initiator, bytes)
    else if (bytes.length === HANDSHAKE_OVERHEAD) this.#answer(slot, guest, bytes)
    else this.#admit(slot, guest, bytes)
  }

  /** As the initiator: the responder's message carries its offer. */
  #finish(slot: number, guest: Guest, initiator: Initiator, bytes: Uint8Array): void {
    const { payload, ...channel } = initiator.finish(bytes)
    this.#sitDown(slot, guest, channel, payload, true)
  }

  /**
   * As the responder: answer with the own offer, and wait for the initiator to prove itself. The message carries
   * nothing: it has the length of an empty one.
   */
  #answer(slot: number, guest: Guest, bytes: Uint8Array): void {
    if (guest.candidates.length >= MOST_CANDIDATES) return
    const responder = respond(guest.handshake, bytes)
    const { message, ...channel } = responder.reply(this.#offerFor(guest.party.index))
    guest.candidates.push(channel)
    this.#input.link.send(slot, message)
  }

  /** As the responder: the first transport message carries the initiator's offer and proves who it is. */
  #admit(slot: number, guest: Guest, bytes: Uint8Array): void {
    for (const channel of guest.candidates) {
      let message: Uint8Array
      try {
        message = channel.transport.open(bytes)
      } catch {
        continue
      }
      for (const other of guest.candidates) if (other !== channel) other.transport.close()
      guest.candidates = []
      const peer = this.#sitDown(slot, guest, channel, message.subarray(0, OFFER_BYTES), false)
      if (message.length > OFFER_BYTES) peer.queue(message.subarray(OFFER_BYTES))
      return
    }
  }

  #sitDown(
    slot: number,
    guest: Guest,
    channel: Established,
    offer: Uint8Array,
    iMoveFirst: boolean,
  ): Peer {
    const { link, signatures = 1 } = this.#input
    const { party } = guest
    const mine = this.#offerFor(party.index)
    const transmit = (bytes: Uint8Array) => {
      link.send(slot, bytes)
    }
    const sit = (setupAgreed: boolean) => {
      const unsent = iMoveFirst ? mine : nothing
      const most = bytesAhead(signatures)
      const peer = new Peer(party, iMoveFirst, setupAgreed, channel, unsent, most, transmit)
      guest.peer = peer
      this.#peers.set(party.index, peer)
      return peer
    }
    let agreed: boolean
    try {
      agreed = compareOffers(mine, offer, party.index)
    } catch (error) {
      sit(false) // so that it is told, and can see for itself where the offers differ
      throw error
    }
    const peer = sit(agreed)
    const offered = offer.slice(-noSetup.length)
    if (!equalBytes(offered, noSetup)) peer.offeredSetup = offered
    // With two parties the offer rides on the first flight; with more it goes ahead.
    if (iMoveFirst && link.size > 2) peer.sendOffer()
    if (this.#peers.size === link.size - 1) this.#settle.resolve()
    return peer
  }

  #deliver(peer: Peer, bytes: Uint8Array): void {
    try {
      peer.deliver(bytes)
    } catch (error) {
      // The peer cannot have sent this: it was disturbed on its way, and says nothing about the peer.
      if (error instanceof ChannelError) throw new RunFailed('link_broken')
      throw error
    }
  }

  #fail(cause: unknown): void {
    // Every run ends by leaving while it listens, and then there is nobody to be told.
    if (this.#over) return
    this.#over = true
    const waitingFor = this.#waitingFor()
    const reason = cause instanceof RoomClosed ? cause.reason : undefined
    const error = reason === undefined ? cause : new RunFailed(reason, { missing: waitingFor })
    this.#settle.reject(error)
    for (const peer of this.#peers.values()) peer.end(error)
  }

  /** Before everybody has come: who has not. Afterwards: whose message is being waited for. */
  #waitingFor(): MissingParty[] {
    const { keygenIds, me, link } = this.#input
    if (this.#peers.size >= link.size - 1)
      return this.peers.filter((peer) => peer.awaited).map((peer) => peer.party)
    return keygenIds
      .map((keygenId, at) => ({ index: partyIndex(at + 1), keygenId }))
      .filter(({ index }) => index !== me && !this.#peers.has(index))
  }

  /** What both sides must mean before a single byte decrypts. docs/spec/run.md, step 2 */
  #hashPrologue(): Uint8Array {
    const { room, operation, keygenIds, hash } = this.#input
    return new Transcript(tags.channelPrologue, hash)
      .add(room, u8(operation === 'keygen' ? 1 : 2))
      .list(keygenIds)
      .digest()
  }

  #offerFor(peer: PartyIndex): Uint8Array {
    let offer = this.#offers.get(peer)
    if (offer === undefined) this.#offers.set(peer, (offer = this.#input.offerFor(peer)))
    return offer
  }

  /**
   * The lower index moves first. Between a client and a Vertex that is the client, since its keygen_id has the lower
   * first byte; so a Vertex derives its nonce last. Keygen fixed this, and no label can change it.
   */
  #movesFirst(peer: PartyIndex): boolean {
    return this.#input.me < peer
  }
}
