import type { MigrationInterface, QueryRunner } from 'typeorm'

/**
 * The audit log. Its triggers refuse to change or delete a record, so that no mistake of ours or of an operator's can.
 */
export class Audit1763800000000 implements MigrationInterface {
  readonly name = 'Audit1763800000000'

  async up(runner: QueryRunner): Promise<void> {
    const triggers = runner.dataSource.options.type === 'postgres' ? onPostgres : onSqlite
    for (const statement of [TABLE, ...triggers]) await runner.query(statement)
  }

  down(): Promise<void> {
    return Promise.reject(new Error('this migration cannot be undone: it would delete the log'))
  }
}

const TABLE = `CREATE TABLE "audit_records" (
    "seq" bigint NOT NULL,
    "line" varchar NOT NULL,
    CONSTRAINT "pk_audit_records" PRIMARY KEY ("seq")
  )`

const onSqlite: readonly string[] = ['UPDATE', 'DELETE'].map(
  (change) => `CREATE TRIGGER "audit_records_no_${change.toLowerCase()}"
    BEFORE ${change} ON "audit_records"
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
)

const onPostgres: readonly string[] = [
  `CREATE FUNCTION "audit_records_append_only"() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$`,
  `CREATE TRIGGER "audit_records_no_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_records"
    FOR EACH STATEMENT EXECUTE FUNCTION "audit_records_append_only"()`,
]
