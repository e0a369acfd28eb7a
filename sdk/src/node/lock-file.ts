import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { StoreLockedError } from '../errors.js'

const held = new Set<string>()

/** A lock that one process holds and that a killed process does not keep. */
export interface LockFile {
  release(): Promise<void>
}

/**
 * Takes the lock file, also from an owner that is no longer alive.
 * @throws StoreLockedError while its owner lives
 */
export async function takeLock(path: string): Promise<LockFile> {
  const mine = `${path}.${randomBytes(8).toString('hex')}.tmp`
  await writeFile(mine, ownName(process.pid), { flag: 'wx', mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        // link() is atomic and the file arrives with its content, so nobody ever reads half a name.
        await link(mine, path)
        held.add(path)
        return {
          async release() {
            if (held.delete(path)) await unlink(path).catch(() => undefined)
          },
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      await removeStale(path)
    }
    throw new StoreLockedError('another process is opening this store')
  } finally {
    await unlink(mine).catch(() => undefined)
  }
}

async function removeStale(path: string): Promise<void> {
  const owner = await readFile(path, 'utf8').catch(() => undefined)
  if (owner === undefined) return
  if (isAlive(owner, path))
    throw new StoreLockedError(`process ${owner.split(' ')[0]} has this store open`)
  // Two processes may find the same dead owner. Each moves away what is there now; who moved a living owner's lock
  // puts it back and gives up.
  const moved = `${path}.${randomBytes(8).toString('hex')}.stale`
  try {
    await rename(path, moved)
  } catch {
    return
  }
  const movedOwner = await readFile(moved, 'utf8').catch(() => '')
  if (movedOwner !== owner && isAlive(movedOwner, path)) {
    await link(moved, path).catch(() => undefined)
    await unlink(moved).catch(() => undefined)
    throw new StoreLockedError('another process is opening this store')
  }
  await unlink(moved).catch(() => undefined)
}

function isAlive(owner: string, path: string): boolean {
  const pid = Number(owner.split(' ')[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  if (pid === process.pid && owner === ownName(pid)) return held.has(path)
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  return owner === ownName(pid)
}

/** A process id alone comes round again (in a container always as the same number); boot and start time do not. */
function ownName(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    return `${pid} ${boot} ${started}`
  } catch {
    return `${pid}`
  }
}
