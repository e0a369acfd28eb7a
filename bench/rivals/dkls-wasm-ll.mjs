// Times keygen (with OT setup) and signing of @silencelaboratories/dkls-wasm-ll-node through its published API.
import { KeygenSession, Keyshare, SignSession } from '@silencelaboratories/dkls-wasm-ll-node'

const fromOthers = (messages, party) =>
  messages.filter((m) => m.from_id !== party).map((m) => m.clone())
const addressedTo = (messages, party) =>
  messages.filter((m) => m.to_id === party).map((m) => m.clone())

/** n parties, t signers; answers their shares as bytes, for signing uses a share up. */
export function keygen(n, t) {
  const parties = Array.from({ length: n }, (_, id) => new KeygenSession(n, t, id))
  const first = parties.map((p) => p.createFirstMessage())
  const second = parties.flatMap((p, id) => p.handleMessages(fromOthers(first, id)))
  const commitments = parties.map((p) => p.calculateChainCodeCommitment())
  const third = parties.flatMap((p, id) => p.handleMessages(addressedTo(second, id)))
  const fourth = parties.flatMap((p, id) => p.handleMessages(addressedTo(third, id), commitments))
  parties.forEach((p, id) => p.handleMessages(fromOthers(fourth, id)))
  return parties.map((p) => p.keyshare().toBytes())
}

export const load = (shares) => shares.map((bytes) => Keyshare.fromBytes(bytes))

/** Signs with loaded shares, which are used up. */
export function sign(shares, digest) {
  const ids = shares.map((share) => share.partyId)
  const parties = shares.map((share) => new SignSession(share, 'm'))
  const first = parties.map((p) => p.createFirstMessage())
  const second = parties.flatMap((p, i) => p.handleMessages(fromOthers(first, ids[i])))
  const third = parties.flatMap((p, i) => p.handleMessages(addressedTo(second, ids[i])))
  parties.forEach((p, i) => p.handleMessages(addressedTo(third, ids[i])))
  const last = parties.map((p) => p.lastMessage(digest))
  const signatures = parties.map((p, i) => p.combine(fromOthers(last, ids[i])))
  return signatures[0]
}
