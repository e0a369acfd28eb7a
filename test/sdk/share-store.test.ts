import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { sha256 } from '@noble/hashes/sha2.js'
import { FileShareStore } from '@vertex/sdk/node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { exportAll, importAll } from '../../sdk/src/store/archive.js'
import { openPassphraseKey, type Kdf } from '../../sdk/src/store/passphrase.js'
import { MemoryShareStore } from '../../sdk/src/store/memory.js'
import type { ShareStore } from '../../sdk/src/store/share-store.js'
import { bundleForNode } from '../support/bundle.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const passphrase = 'correct horse battery staple'
const opened: FileShareStore[] = []
let root: string

const openFileStore = (directory: string, secret = passphrase) =>
  FileShareStore.open({ directory, passphrase: secret })

async function fileStore(directory: string, secret = passphrase) {
  const store = await openFileStore(directory, secret)
  opened.push(store)
  return store
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vertex-store-'))
})
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})
afterAll(() => rm(root, { recursive: true, force: true }))

const kinds: [string, () => Promise<ShareStore>][] = [
  ['MemoryShareStore', () => Promise.resolve(new MemoryShareStore())],
  ['FileShareStore', () => openFileStore(join(root, 'contract'))],
]

describe.each(kinds)('%s keeps the contract of a share store', (_, make) => {
  let store: ShareStore
  beforeAll(async () => {
    store = await make()
  })
  afterAll(async () => {
    if (store instanceof FileShareStore) await store.close()
  })

  it('gives back what was put, lists it by kind, and deletes it', async () => {
    expect(await store.get('key', 'a')).toBeUndefined()
    expect(await store.put('key', 'a', bytes('one'), 0)).toBe(1)
    expect(await store.put('setup', 'a.2', bytes('setup'), 0)).toBe(1)
    expect(await store.put('key', 'a', bytes('two'), 1)).toBe(2)
    expect(await store.get('key', 'a')).toEqual({ value: bytes('two'), version: 2 })
    expect(await store.list('key')).toEqual(['a'])
    expect(await store.list('setup')).toEqual(['a.2'])
    await store.delete('key', 'a')
    await store.delete('key', 'a')
    expect(await store.get('key', 'a')).toBeUndefined()
    expect(await store.get('setup', 'a.2')).toBeDefined()
  })

  it('lets exactly one of many writers replace the same version', async () => {
    await store.put('key', 'k', bytes('first'), 0)
    const writes = await Promise.allSettled(
      Array.from({ length: 10 }, (_unused, i) => store.put('key', 'k', bytes(`w${i}`), 1)),
    )
    expect(writes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await store.get('key', 'k'))?.version).toBe(2)
    await expect(store.put('key', 'new', bytes('x'), 3)).rejects.toMatchObject({
      errType: 'store_conflict',
    })
  })

  it('refuses ids that could leave its place', async () => {
    for (const id of ['', '../a', 'a/b', 'A', '.a', 'a'.repeat(129)])
      await expect((async () => store.put('key', id, bytes('x'), 0))()).rejects.toThrow(RangeError)
  })
})

describe('FileShareStore', () => {
  it('opens again under the same passphrase, and under no other', async () => {
    const directory = join(root, 'again')
    const first = await fileStore(directory)
    await first.put('key', 'k', bytes('a secret share'), 0)
    await first.close()
    await expect(fileStore(directory, 'wrong')).rejects.toMatchObject({
      errType: 'wrong_passphrase',
    })
    const second = await fileStore(directory)
    expect((await second.get('key', 'k'))?.value).toEqual(bytes('a secret share'))
  })

  it('lets one writer in at a time', async () => {
    const directory = join(root, 'locked')
    const first = await fileStore(directory)
    await expect(fileStore(directory)).rejects.toMatchObject({ errType: 'store_locked' })
    await first.close()
    await fileStore(directory)
  })

  it('writes and shows nothing in the clear, and writes the same value differently each time', async () => {
    const directory = join(root, 'sealed')
    const store = await fileStore(directory)
    const path = join(directory, 'keys', 'k.vtx')
    await store.put('key', 'k', bytes('a secret share'), 0)
    const one = await readFile(path)
    await store.put('key', 'k', bytes('a secret share'), 1)
    const two = await readFile(path)
    expect(one.includes('secret share')).toBe(false)
    // Salt (32), nonce (12), then the ciphertext with its tag (14 + 16).
    const tail = (file: Buffer) => file.subarray(-74)
    expect(tail(one).subarray(0, 32)).not.toEqual(tail(two).subarray(0, 32))
    expect(tail(one).subarray(32, 44)).not.toEqual(tail(two).subarray(32, 44))
    expect(tail(one).subarray(44)).not.toEqual(tail(two).subarray(44))
    expect((await readdir(join(directory, 'keys'))).length).toBe(1)
    const shown = `${inspect(store, { depth: 9, showHidden: true })}${JSON.stringify(store)}`
    expect(shown).not.toContain(passphrase)
    expect(shown).not.toMatch(/master|Uint8Array/)
  })

  it('refuses an item in which any byte was changed, and one under another name', async () => {
    const directory = join(root, 'tampered')
    const store = await fileStore(directory)
    await store.put('key', 'k', bytes('share'), 0)
    const path = join(directory, 'keys', 'k.vtx')
    const good = await readFile(path)
    for (let at = 0; at < good.length; at += 1) {
      const damaged = Buffer.from(good)
      damaged[at]! ^= 1
      await writeFile(path, damaged)
      await expect(store.get('key', 'k')).rejects.toMatchObject({ errType: 'store_corrupt' })
    }
    for (const file of [good.subarray(0, -1), Buffer.alloc(0)]) {
      await writeFile(path, file)
      await expect(store.get('key', 'k')).rejects.toMatchObject({ errType: 'store_corrupt' })
    }
    await writeFile(join(directory, 'keys', 'other.vtx'), good)
    await expect(store.get('key', 'other')).rejects.toMatchObject({ errType: 'store_corrupt' })
  })

  it('refuses scrypt parameters out of bounds before it computes anything', async () => {
    const directory = join(root, 'bounds')
    await (await fileStore(directory)).close()
    const path = join(directory, 'store.vtx')
    const good = await readFile(path)
    let computed = 0
    const kdf = () => Promise.resolve(new Uint8Array(32).fill(++computed))
    // magic (8), use, log2 N, r, p
    for (const [at, value] of [
      [0, 0],
      [8, 2],
      [9, 16],
      [9, 30],
      [10, 255],
      [11, 9],
    ] as const) {
      const header = Buffer.from(good)
      header[at] = value
      await expect(openPassphraseKey('store', header, passphrase, kdf)).rejects.toMatchObject({
        errType: 'store_corrupt',
      })
    }
    expect(computed).toBe(0)
    const salted = Buffer.from(good)
    salted[20]! ^= 1
    await writeFile(path, salted)
    await expect(fileStore(directory)).rejects.toMatchObject({ errType: 'wrong_passphrase' })
    await expect(
      FileShareStore.open({ directory: join(root, 'weak'), passphrase, logN: 16 }),
    ).rejects.toMatchObject({ errType: 'bad_argument' })
  })

  it('does not begin anew over items whose header is gone', async () => {
    const directory = join(root, 'headless')
    const store = await fileStore(directory)
    await store.put('key', 'k', bytes('share'), 0)
    await store.close()
    await rm(join(directory, 'store.vtx'))
    await expect(fileStore(directory)).rejects.toMatchObject({ errType: 'store_corrupt' })
  })

  it('keeps every acknowledged write when the writer is killed, and lets the next one in', async () => {
    const directory = join(root, 'killed')
    const writer = await bundleForNode(join(import.meta.dirname, 'support/store-writer.ts'))
    for (let round = 0; round < 3; round++) {
      const child = fork(writer, [directory, passphrase], { stdio: 'ignore' })
      const acknowledged = new Map<string, number>()
      child.on('message', ({ id, version }: { id: string; version: number }) => {
        acknowledged.set(id, version)
        if (acknowledged.size === 4 && version > 3 + round) child.kill('SIGKILL')
      })
      await once(child, 'close')
      expect(acknowledged.size).toBe(4)
      const store = await fileStore(directory)
      for (const [id, version] of acknowledged) {
        const item = await store.get('key', id)
        expect(item?.version).toBeGreaterThanOrEqual(version)
        expect(item?.value).toEqual(bytes(`${id} at ${item?.version}`.padEnd(4096, '.')))
      }
      expect((await readdir(join(directory, 'keys'))).every((n) => n.endsWith('.vtx'))).toBe(true)
      await store.close()
    }
  })
})

describe('an archive of all keys', () => {
  it('carries the keys and never a setup, and overwrites nothing', async () => {
    // A cheap stand-in for scrypt: this is about what is inside.
    const kdf: Kdf = (secret, salt) => Promise.resolve(sha256(new Uint8Array([...secret, ...salt])))
    const from = new MemoryShareStore()
    await from.put('key', 'a', bytes('share a'), 0)
    await from.put('key', 'b', bytes('share b'), 0)
    await from.put('setup', 'a.2', bytes('setup of a'), 0)
    const archive = await exportAll(from, passphrase, kdf)
    const to = new MemoryShareStore()
    await to.put('key', 'b', bytes('newer b'), 0)
    expect(await importAll(to, archive, passphrase, kdf)).toEqual({ imported: ['a'], kept: ['b'] })
    expect((await to.get('key', 'a'))?.value).toEqual(bytes('share a'))
    expect((await to.get('key', 'b'))?.value).toEqual(bytes('newer b'))
    expect(await to.list('setup')).toEqual([])
    await expect(importAll(to, archive, 'wrong', kdf)).rejects.toMatchObject({
      errType: 'wrong_passphrase',
    })
    for (const at of [archive.length - 1, 80, 90]) {
      const damaged = archive.slice()
      damaged[at]! ^= 1
      const empty = new MemoryShareStore()
      await expect(importAll(empty, damaged, passphrase, kdf)).rejects.toMatchObject({
        errType: 'store_corrupt',
      })
      expect(await empty.list('key')).toEqual([])
    }
  })

  it('goes through one file from a FileShareStore to another kind of store', async () => {
    const from = await fileStore(join(root, 'from'))
    await from.put('key', 'a', bytes('share a'), 0)
    const file = join(root, 'all-keys.vtx')
    await from.exportAll(file, 'another passphrase')
    // Written with OpenSSL's scrypt, read with noble's, as a browser would.
    const to = new MemoryShareStore()
    const archive = new Uint8Array(await readFile(file))
    expect(await importAll(to, archive, 'another passphrase')).toEqual({
      imported: ['a'],
      kept: [],
    })
    expect((await to.get('key', 'a'))?.value).toEqual(bytes('share a'))
    expect(await from.importAll(file, 'another passphrase')).toEqual({ imported: [], kept: ['a'] })
  })
})
