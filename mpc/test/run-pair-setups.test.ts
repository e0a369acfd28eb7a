import { expect, it } from 'vitest'
import { createIdentity, partyIndex, quorum, runKeygen, type Suite } from '@vertex/mpc'
import { encodeScalar } from '../src/math/scalar.js'
import { tags } from '../src/tags.js'
import { tagKey, type KeyedHash } from '../src/transcript.js'
import { native } from './support/parties.js'
import { hex, MemoryRoom, MemorySetups } from './support/room.js'

it('a run hedges the setups it makes with the share they are for', async () => {
  const keys: string[] = []
  const hash: KeyedHash = (key, message, length) => {
    if (hex(key) === hex(tagKey(tags.hedgeKey))) keys.push(hex(message))
    return native.kernel.hash(key, message, length)
  }
  const watched: Suite = { ...native, kernel: { ...native.kernel, hash } }
  const room = new MemoryRoom(2)
  const identities = (['client', 'vertex'] as const).map((role) =>
    createIdentity(native.channel, role),
  )
  const caches = identities.map(() => new MemorySetups())
  const [share] = await Promise.all(
    identities.map((identity, at) =>
      runKeygen({
        suite: at === 0 ? watched : native,
        link: room.join(identity.keygenId),
        room: room.id,
        quorum: quorum(2, 2),
        identity,
        keygenIds: identities.map(({ keygenId }) => keygenId),
        keep: () => Promise.resolve(),
        setups: caches[at]!,
      }),
    ),
  )
  expect(caches[0]!.saved.has(partyIndex(2))).toBe(true)
  // The keygen itself is hedged with the identity secret: there is no share yet.
  const secret = hex(encodeScalar(share!.secret.reveal()))
  expect(keys.filter((message) => message.includes(secret)).length).toBe(1)
  expect(keys.some((message) => message.includes(hex(share!.identitySecret.reveal())))).toBe(true)
})
