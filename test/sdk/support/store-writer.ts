import { FileShareStore } from '@vertex/sdk/node'

// Writes without an end and tells its parent of each write that was acknowledged; the parent kills it.
const [directory = '', passphrase = ''] = process.argv.slice(2)
const store = await FileShareStore.open({ directory, passphrase })

async function writeFor(id: string): Promise<never> {
  for (let version = (await store.get('key', id))?.version ?? 0; ;) {
    const text = `${id} at ${version + 1}`.padEnd(4096, '.')
    version = await store.put('key', id, new TextEncoder().encode(text), version)
    process.send?.({ id, version })
  }
}

await Promise.all(['a', 'b', 'c', 'd'].map(writeFor))
