import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import {
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode } from './error-code.js'

/**
 * Makes a file with this content, readable by its owner only and durable before this resolves; its directory too.
 * There is the whole file or none, whenever this is interrupted, and a file that is there is never replaced.
 * @throws the error of the file system, `EEXIST` when there is such a file
 */
export async function makeFile(
  path: string,
  content: string | AsyncIterable<Uint8Array>,
): Promise<void> {
  const directory = dirname(path)
  const firstMade = await mkdir(directory, { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      if (typeof content === 'string') await file.writeFile(content)
      else for await (const piece of content) await file.appendFile(piece)
      await file.sync()
    } finally {
      await file.close()
    }
    await publish(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
  // A name is durable only with its directory, and a new directory only with the one it lies in.
  await syncDirectory(directory)
  if (firstMade !== undefined) await syncDirectory(dirname(firstMade))
}

/**
 * Puts another text in the place of a file's, of the same owner and mode, and keeps the former file beside it. There is
 * the former file or the new one, whole, whenever this is interrupted; the new one is durable before it takes the place,
 * and so is that when this resolves.
 * @param check is given what was written, as it is read from the disk; when it throws, the former file stays
 * @param suffix of the name under which the former file is kept
 * @returns that name
 */
export async function replaceFile(
  path: string,
  text: string,
  check: (written: string) => Promise<void>,
  suffix: string,
): Promise<string> {
  // A link goes on leading to the file.
  const target = await realpath(path)
  const { mode, uid, gid } = await stat(target)
  const draft = `${target}.${randomBytes(8).toString('hex')}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(text)
      // Whoever could read the file can go on reading it, also when somebody else, such as root, replaces it.
      const own = await file.stat()
      if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid)
      await file.chmod(mode & 0o777)
      await file.sync()
    } finally {
      await file.close()
    }
    await check(await readFile(draft, 'utf8'))
    const kept = await keep(target, suffix)
    await syncDirectory(dirname(target))
    await rename(draft, target)
    await syncDirectory(dirname(target))
    return kept
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/**
 * Gives a file a second name beside the first, which it keeps when another one takes its place: with the suffix, and a
 * number after it while that leads to something else. Nothing is ever replaced.
 */
async function keep(path: string, suffix: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = `${path}${suffix}${number === 1 ? '' : `-${number}`}`
    try {
      await link(path, name).catch(async (error: unknown) => {
        if (!isWithoutLinks(error)) throw error
        await copyFile(path, name, constants.COPYFILE_EXCL)
        const copy = await open(name, 'r')
        await copy.sync().finally(() => copy.close())
      })
      return name
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      // Kept already, by somebody who was interrupted then. A symbolic link keeps nothing: it may lead to this very file.
      const isFile = (await lstat(name)).isFile()
      if (isFile && (await readFile(name)).equals(await readFile(path))) return name
    }
  }
}

/** Adds to a file, or makes it, readable by its owner only; durable before this resolves. */
export async function addToFile(path: string, text: string): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    await file.appendFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncDirectory(dirname(path))
}

/** Gives the file its name, unless it is somebody else's. */
async function publish(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path)
  } catch (error) {
    if (!isWithoutLinks(error)) throw error
    // The name is taken first, and only what took it is replaced.
    await (await open(path, 'wx', 0o600)).close()
    await rename(draft, path)
  }
}

/** Whether there are no hard links here, as on a network share. */
const isWithoutLinks = (error: unknown) =>
  ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errorCode(error) ?? '')

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
