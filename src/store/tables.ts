import type { EntitySchema } from 'typeorm'
import { apiKeysTable } from './api-keys.js'
import { backupsTable } from './backups.js'
import { auditTable } from './audit.js'
import type { Engine } from './columns.js'
import { failuresTable } from './failures.js'
import { handlesTable } from './handles.js'
import { leasesTable } from './lease.js'
import { metaTable } from './meta.js'
import { pendingKeysTable } from './pending-keys.js'
import { secretsTable } from './secrets.js'
import { setupsTable } from './setups.js'
import { sharesTable } from './shares.js'
import { tombstonesTable } from './tombstones.js'
import { usersTable } from './users.js'

/** Tables of a part of the service that keeps its rows here too, as TypeORM sees them. */
export type MoreTables = (engine: Engine) => readonly EntitySchema[]

/** Every table of the vault, as TypeORM sees it. The migrations make them; a test finds any difference. */
export const tables = (engine: Engine): EntitySchema[] =>
  [
    metaTable(engine),
    secretsTable(),
    usersTable(),
    apiKeysTable(),
    pendingKeysTable(engine),
    sharesTable(engine),
    handlesTable(),
    backupsTable(),
    setupsTable(engine),
    failuresTable(),
    tombstonesTable(),
    auditTable(),
    leasesTable(),
  ] as EntitySchema[]
