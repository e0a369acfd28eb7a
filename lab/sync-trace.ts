/** What a trace of system calls says of one acknowledged answer after the other. */
export interface SyncFindings {
  /** Answers 2xx that were written to a socket. */
  readonly answers: number
  /** How often the database's log was synced. */
  readonly syncs: number
  /** Answers that left while something in the log was not synced: what they acknowledge could be lost. */
  readonly tooEarly: readonly string[]
}

/** Which calls `strace -f -y` must trace for {@link judgeTrace}. */
export const TRACED = 'pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync'

const CALL = /^(\d+)\s+(\w+)\((\d+)<([^>]*)>/
const UNFINISHED_SYNC = /^\d+\s+f(?:data)?sync\(.*<unfinished/
const RESUMED_SYNC = /^(\d+)\s+<\.\.\. f(?:data)?sync resumed>.*= 0$/

/**
 * Reads a trace line by line: whatever was written to the log must have been synced before an answer leaves.
 * @param isLog whether a path is a file that commits are written to
 */
export function judgeTrace(trace: string, isLog: (path: string) => boolean): SyncFindings {
  const unsynced = new Set<string>()
  /** Syncs that have begun, by process: only what was written before counts as synced. */
  const syncing = new Map<string, { path: string; covers: boolean }>()
  const tooEarly: string[] = []
  let answers = 0
  let syncs = 0
  const synced = (path: string) => {
    syncs++
    unsynced.delete(path)
  }
  for (const line of trace.split('\n')) {
    const resumed = RESUMED_SYNC.exec(line)
    if (resumed !== null) {
      const begun = syncing.get(resumed[1]!)
      syncing.delete(resumed[1]!)
      if (begun?.covers === true) synced(begun.path)
      continue
    }
    const [, pid = '', call = '', , path = ''] = CALL.exec(line) ?? []
    if (call.startsWith('f')) {
      if (!isLog(path)) continue
      if (UNFINISHED_SYNC.test(line)) syncing.set(pid, { path, covers: true })
      else if (/= 0$/.test(line)) synced(path)
    } else if (isLog(path)) {
      unsynced.add(path)
      for (const begun of syncing.values()) if (begun.path === path) begun.covers = false
    } else if (/"HTTP\/1\.1 2/.test(line)) {
      answers++
      if (unsynced.size > 0) tooEarly.push(`answer ${answers}: ${[...unsynced].join(', ')}`)
    }
  }
  return { answers, syncs, tooEarly }
}
