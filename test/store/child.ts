// A process of its own for the tests of durability: opens a store, commits, and says so on its standard output.
import { writeSync } from 'node:fs'
import { openStore, type Database } from '../../src/store/index.js'
import { clock, storageKey, testSeal } from './engines.js'
import { aHandle, aShare, aUser, bytes, insertShare } from './rows.js'

const database = JSON.parse(process.argv[2]!) as Database
/** How many commits; the process then ends. Without end when it is `forever`. */
const commits = process.argv[3] === 'forever' ? Infinity : Number(process.argv[3])

const store = await openStore({ database, rowSeal: testSeal(storageKey), clock })
const user = aUser()
await store.run((uow) => uow.users.insert(user))
writeSync(1, `user ${user.userId}\n`)
for (let made = 0; made < commits; made++) {
  const share = aShare(user.userId)
  const handle = aHandle(share)
  await store.run((uow) => insertShare(uow, share, handle, bytes(300)))
  // Written by one system call: what the parent can read was acknowledged.
  writeSync(1, `key ${handle.keyId}\n`)
}
await store.close()
