import { First1763700000000 } from './0001-first.js'
import { Backups1763750000000 } from './0002-backups.js'
import { Audit1763800000000 } from './0003-audit.js'
import { Leases1763850000000 } from './0004-leases.js'
import { Sigchain1763900000000 } from './0005-sigchain.js'
import { KeyPackages1763950000000 } from './0006-key-packages.js'
import { DirectoryLog1764000000000 } from './0007-log.js'
import { Keyserver1764050000000 } from './0008-keyserver.js'
import { ShareCodes1764100000000 } from './0009-share-codes.js'
import { ShareReplication1764200000000 } from './0010-share-replication.js'

/** In the order in which they run. */
export const migrations = [
  First1763700000000,
  Backups1763750000000,
  Audit1763800000000,
  Leases1763850000000,
  Sigchain1763900000000,
  KeyPackages1763950000000,
  DirectoryLog1764000000000,
  Keyserver1764050000000,
  ShareCodes1764100000000,
  ShareReplication1764200000000,
]
