// A client in a process of its own, to be killed: makes keys and signs, and says what it was acknowledged, one line each.
import { writeSync } from 'node:fs'
import { Vertex, type ShareStore } from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'
import { passphrase } from './world.js'

export interface ClientTask {
  readonly url: string
  readonly apiKey: string
  readonly directory: string
  /** It kills itself around this write to its store; the first is 1. */
  readonly kill: { readonly at: number; readonly when: 'before' | 'after' } | undefined
}

const task = JSON.parse(process.argv[2]!) as ClientTask
const files = await FileShareStore.open({ directory: task.directory, passphrase })
let writes = 0

async function around<T>(write: () => Promise<T>): Promise<T> {
  const number = ++writes
  const dies = (when: string) => {
    if (task.kill?.at === number && task.kill.when === when) process.kill(process.pid, 'SIGKILL')
  }
  dies('before')
  const result = await write()
  dies('after')
  return result
}

const store: ShareStore = {
  get: (kind, id) => files.get(kind, id),
  list: (kind) => files.list(kind),
  put: (kind, id, value, expected) => around(() => files.put(kind, id, value, expected)),
  delete: (kind, id) => around(() => files.delete(kind, id)),
}
const { url, apiKey } = task
const vertex = new Vertex({ url, apiKey, store, allowHttpOnLoopback: true })
// Written by one system call: what the parent can read was acknowledged.
writeSync(1, 'begins\n')
for (;;) {
  const key = await vertex.ecdsa.createKey()
  writeSync(1, `key ${key.id} ${Buffer.from(key.publicKey).toString('hex')}\n`)
  const message = new TextEncoder().encode('laboratory')
  const { der } = await key.sign({ message, hashAlgo: 'sha256' })
  writeSync(1, `signature ${key.id} ${Buffer.from(der).toString('hex')}\n`)
  await key.exportBackup()
}
