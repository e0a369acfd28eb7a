import { StorageUnavailable, type VaultStore } from '../vault/ports.js'

/**
 * A store that answers only while its process may: asked before each unit of work, and again before its outcome is
 * told, so that nothing is acknowledged by a process that has lost the right in between.
 */
export function answering(store: VaultStore, mayAnswer: () => boolean): VaultStore {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!mayAnswer()) throw new StorageUnavailable({ cause: new Error('no lease') })
    const result = await work()
    if (!mayAnswer()) throw new StorageUnavailable({ cause: new Error('the lease was lost') })
    return result
  }
  return {
    run: (work) => guarded(() => store.run(work)),
    readForSigning: (...asked) => guarded(() => store.readForSigning(...asked)),
    // What happened is recorded, whoever answers now.
    appendAudit: (make, own) => store.appendAudit(make, own),
    readAudit: (after, most) => store.readAudit(after, most),
    check: () => store.check(),
    close: () => store.close(),
  }
}
