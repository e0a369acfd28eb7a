import type { Scenario } from '../scenario.js'
import { clocks } from './clock.js'
import { databaseTroubles } from './database-trouble.js'
import { diskFull, diskFullClient } from './disk-full.js'
import { keyVaultTroubles } from './key-vault.js'
import { killClient } from './kill-client.js'
import { killRandom } from './kill-random.js'
import { killStatement } from './kill-statement.js'
import { restores } from './restored.js'
import { synced } from './synced.js'
import { twoCopies, twoProcesses } from './two-copies.js'

/** Every scenario, in the order of the table. */
export const scenarios: readonly Scenario[] = [
  killStatement,
  killRandom,
  killClient,
  diskFull,
  diskFullClient,
  ...databaseTroubles,
  ...keyVaultTroubles,
  ...clocks,
  ...restores,
  twoCopies,
  twoProcesses,
  synced,
]
