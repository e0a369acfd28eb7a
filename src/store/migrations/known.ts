import { MigrationExecutor, type DataSource, type QueryRunner } from 'typeorm'
import { StoreRefused } from '../errors.js'

/** @throws StoreRefused for a database that a newer version has already changed */
export async function assertKnownMigrations(
  dataSource: DataSource,
  runner?: QueryRunner,
): Promise<void> {
  const known = new Set(dataSource.migrations.map((migration) => migration.name))
  const executor = new MigrationExecutor(dataSource, runner)
  const executed = await executor.getExecutedMigrations()
  if (executed.some((migration) => !known.has(migration.name)))
    throw new StoreRefused(
      'this database was changed by a newer version of the server: start that version',
    )
}
