import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

/** A disk of its own, small enough to be full at once. */
export interface SmallDisk {
  readonly path: string
  /** Takes all space but so many bytes. */
  fill(free: number): void
  /** Gives it back. */
  empty(): void
  unmount(): void
}

/** Why no disk can be mounted here; undefined when one can. */
export function missingMount(): string | undefined {
  if (process.platform !== 'linux') return 'a small disk can be mounted on Linux only'
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root'
  return spawnSync('unshare', ['--mount', 'true']).status === 0
    ? undefined
    : 'this machine does not let root mount'
}

/** A file system in memory: what it says when it is full is what a disk says. */
export function mountSmallDisk(path: string, megabytes: number): SmallDisk {
  mkdirSync(path, { recursive: true })
  const options = `size=${megabytes}m,mode=0755`
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'vertex-lab', path])
  const unmount = () => {
    execFileSync('umount', ['--lazy', path])
  }
  process.once('exit', unmount)
  const filler = join(path, 'filler')
  return {
    path,
    fill: (free) => {
      const file = openSync(filler, 'a')
      try {
        const { bavail, bsize } = statfsSync(path)
        const chunk = new Uint8Array(bsize)
        for (let left = bavail - Math.ceil(free / bsize); left > 0; left--)
          if (writeSync(file, chunk) < chunk.length) break
      } finally {
        closeSync(file)
      }
    },
    empty: () => {
      const file = openSync(filler, 'a')
      ftruncateSync(file)
      closeSync(file)
      rmSync(filler)
    },
    unmount: () => {
      process.off('exit', unmount)
      unmount()
    },
  }
}
