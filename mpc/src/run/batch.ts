import { u32 } from '../bytes.js'
import { tags } from '../tags.js'
import { Transcript } from '../transcript.js'
import type { Signable } from './options.js'

/** What stands for the digest in the offer and the session id of a batch. docs/spec/run.md, step B.1 */
export function batchDigest(batch: readonly Signable[]): Uint8Array {
  const list = new Transcript(tags.batchList).add(u32(batch.length))
  for (const { path, digest } of batch) list.list(path.map(u32)).add(digest)
  return list.digest()
}

/** The session id of the signature at `at`, from 0, of a batch. docs/spec/run.md, step B.2 */
export function memberSession(sid: Uint8Array, batch: readonly Signable[], at: number): Uint8Array {
  const { path, digest } = batch[at]!
  return new Transcript(tags.batchMember)
    .add(sid, u32(at), u32(batch.length))
    .list(path.map(u32))
    .add(digest)
    .digest()
}
