import type { UnitOfWork } from '../vault/ports.js'
import { ApiKeys } from './api-keys.js'
import { Backups } from './backups.js'
import { Audit } from './audit.js'
import { Failures } from './failures.js'
import { Handles } from './handles.js'
import { Meta } from './meta.js'
import { PendingKeys } from './pending-keys.js'
import { Secrets } from './secrets.js'
import { Setups } from './setups.js'
import { Shares } from './shares.js'
import { Tombstones } from './tombstones.js'
import type { Unit } from './unit.js'
import { Users } from './users.js'

/** All verbs of one open transaction. */
export class StoreUnitOfWork implements UnitOfWork {
  readonly meta: Meta
  readonly secrets: Secrets
  readonly users: Users
  readonly apiKeys: ApiKeys
  readonly pendingKeys: PendingKeys
  readonly shares: Shares
  readonly handles: Handles
  readonly backups: Backups
  readonly setups: Setups
  readonly failures: Failures
  readonly tombstones: Tombstones
  readonly audit: Audit

  constructor(readonly unit: Unit) {
    this.meta = new Meta(unit)
    this.secrets = new Secrets(unit)
    this.users = new Users(unit)
    this.apiKeys = new ApiKeys(unit)
    this.pendingKeys = new PendingKeys(unit)
    this.shares = new Shares(unit)
    this.handles = new Handles(unit)
    this.backups = new Backups(unit)
    this.setups = new Setups(unit)
    this.failures = new Failures(unit)
    this.tombstones = new Tombstones(unit)
    this.audit = new Audit(unit)
  }
}
