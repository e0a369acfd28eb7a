import { open, type FileHandle } from 'node:fs/promises'
import { vi } from 'vitest'

/** Until it is restored, files can be made, but nothing gets into them. */
export async function fullDisk() {
  const some = await open(import.meta.filename)
  const handles = Object.getPrototypeOf(some) as FileHandle
  await some.close()
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  return vi.spyOn(handles, 'writeFile').mockRejectedValue(full)
}
