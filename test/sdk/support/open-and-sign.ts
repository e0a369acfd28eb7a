import { Vertex } from '@vertex/sdk'
import { FileShareStore } from '@vertex/sdk/node'

// Another process of the same app: opens the key from its files, signs, and prints the signature.
const [url = '', apiKey = '', directory = '', passphrase = '', id = '', text = ''] =
  process.argv.slice(2)
const store = await FileShareStore.open({ directory, passphrase })
const vertex = new Vertex({ url, apiKey, store, allowHttpOnLoopback: true })
const key = await vertex.ecdsa.openKey(id)
const message = new TextEncoder().encode(text)
const { der } = await key.sign({ message, hashAlgo: 'sha256' })
// Nothing is closed: an idle connection must not keep the process alive, and its lock must not outlive it.
process.stdout.write(Buffer.from(der).toString('hex'))
