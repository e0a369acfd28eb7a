import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Signed key packages of devices and device lists of accounts. Never edited once released: a change is a new migration. */
export class KeyPackages1763950000000 implements MigrationInterface {
  readonly name = 'KeyPackages1763950000000'

  async up(runner: QueryRunner): Promise<void> {
    const isPostgres = runner.dataSource.options.type === 'postgres'
    const bytes = isPostgres ? 'bytea' : 'blob'
    // Numbers are not given twice, on SQLite neither, where the last row's would be given again once it is deleted.
    const [id, key] = isPostgres
      ? ['bigserial NOT NULL', `, CONSTRAINT "pk_key_packages" PRIMARY KEY ("id")`]
      : ['integer PRIMARY KEY AUTOINCREMENT NOT NULL', '']
    for (const statement of [
      `CREATE TABLE "key_packages" (
        "id" ${id},
        "device_id" varchar NOT NULL,
        "payload" ${bytes} NOT NULL,
        "signature" ${bytes} NOT NULL,
        "received_at" bigint NOT NULL${key}
      )`,
      `CREATE INDEX "ix_key_packages_device" ON "key_packages" ("device_id", "id")`,
      `CREATE INDEX "ix_key_packages_received" ON "key_packages" ("received_at")`,
      `CREATE TABLE "account_bundles" (
        "account_id" varchar NOT NULL,
        "lamport" varchar NOT NULL,
        "payload" ${bytes} NOT NULL,
        "signature" ${bytes} NOT NULL,
        "updated_at" bigint NOT NULL,
        CONSTRAINT "pk_account_bundles" PRIMARY KEY ("account_id")
      )`,
      `CREATE INDEX "ix_account_bundles_updated" ON "account_bundles" ("updated_at")`,
    ])
      await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "account_bundles"')
    await runner.query('DROP TABLE "key_packages"')
  }
}
