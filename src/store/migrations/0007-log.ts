import type { MigrationInterface, QueryRunner } from 'typeorm'
import { bytesType, type Engine } from '../columns.js'

/**
 * The directory's log. An entry that has its place keeps it: the triggers refuse everything but giving it one, once, and
 * taking its salt and source away. Never edited once released: a change is a new migration.
 */
export class DirectoryLog1764000000000 implements MigrationInterface {
  readonly name = 'DirectoryLog1764000000000'

  async up(runner: QueryRunner): Promise<void> {
    const engine: Engine = runner.dataSource.options.type === 'postgres' ? 'postgres' : 'sqlite'
    const triggers = engine === 'postgres' ? onPostgres : onSqlite
    for (const statement of [...tables(engine), ...triggers]) await runner.query(statement)
  }

  down(): Promise<void> {
    return Promise.reject(new Error('this migration cannot be undone: it would delete the log'))
  }
}

const tables = (engine: Engine): readonly string[] => [
  `CREATE TABLE "log_leaves" (
    ${
      engine === 'postgres'
        ? `"id" BIGSERIAL NOT NULL`
        : `"id" integer PRIMARY KEY AUTOINCREMENT NOT NULL`
    },
    "idx" bigint,
    "kind" varchar NOT NULL,
    "source" varchar,
    "salt" ${bytesType(engine)},
    "entry" ${bytesType(engine)} NOT NULL,
    ${engine === 'postgres' ? `CONSTRAINT "pk_log_leaves" PRIMARY KEY ("id"),` : ''}
    CONSTRAINT "uq_log_leaves_idx" UNIQUE ("idx"),
    CONSTRAINT "uq_log_leaves_source" UNIQUE ("kind", "source")
  )`,
  `CREATE INDEX "ix_log_leaves_waiting" ON "log_leaves" ("id") WHERE "idx" IS NULL`,
  `CREATE TABLE "log_tiles" (
    "level" integer NOT NULL,
    "n" bigint NOT NULL,
    "hashes" ${bytesType(engine)} NOT NULL,
    CONSTRAINT "pk_log_tiles" PRIMARY KEY ("level", "n")
  )`,
  `CREATE TABLE "log_state" (
    "id" integer NOT NULL,
    "size" bigint NOT NULL,
    "audit_seq" bigint NOT NULL,
    "checkpoint" varchar NOT NULL,
    CONSTRAINT "pk_log_state" PRIMARY KEY ("id")
  )`,
]

const APPEND_ONLY = 'the log is append-only'

/** What may not happen to an entry, as a condition on its row before and after. */
const forbidden = (differs: string) =>
  [
    `NEW."id" ${differs} OLD."id"`,
    `NEW."kind" ${differs} OLD."kind"`,
    `NEW."entry" ${differs} OLD."entry"`,
    `(OLD."idx" IS NOT NULL AND NEW."idx" ${differs} OLD."idx")`,
    `(NEW."salt" IS NOT NULL AND NEW."salt" ${differs} OLD."salt")`,
    `(NEW."source" IS NOT NULL AND NEW."source" ${differs} OLD."source")`,
  ].join(' OR ')

const onSqlite: readonly string[] = [
  `CREATE TRIGGER "log_leaves_no_delete" BEFORE DELETE ON "log_leaves"
    BEGIN SELECT RAISE(ABORT, '${APPEND_ONLY}'); END`,
  `CREATE TRIGGER "log_leaves_no_change" BEFORE UPDATE ON "log_leaves" WHEN ${forbidden('IS NOT')}
    BEGIN SELECT RAISE(ABORT, '${APPEND_ONLY}'); END`,
]

const onPostgres: readonly string[] = [
  `CREATE FUNCTION "log_append_only"() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '${APPEND_ONLY}'; END $$`,
  `CREATE TRIGGER "log_leaves_no_delete" BEFORE DELETE OR TRUNCATE ON "log_leaves"
    FOR EACH STATEMENT EXECUTE FUNCTION "log_append_only"()`,
  `CREATE TRIGGER "log_leaves_no_change" BEFORE UPDATE ON "log_leaves"
    FOR EACH ROW WHEN (${forbidden('IS DISTINCT FROM')}) EXECUTE FUNCTION "log_append_only"()`,
]
