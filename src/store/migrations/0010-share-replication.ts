import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What servers of share codes tell each other. Never edited once released: a change is a new migration. */
export class ShareReplication1764200000000 implements MigrationInterface {
  readonly name = 'ShareReplication1764200000000'

  async up(runner: QueryRunner): Promise<void> {
    const isPostgres = runner.dataSource.options.type === 'postgres'
    const bytes = isPostgres ? 'bytea' : 'blob'
    // Numbers are not given twice, on SQLite neither, where the last row's would be given again once it is deleted.
    const [id, key] = isPostgres
      ? ['bigserial NOT NULL', `, CONSTRAINT "pk_share_events" PRIMARY KEY ("id")`]
      : ['integer PRIMARY KEY AUTOINCREMENT NOT NULL', '']
    for (const statement of [
      `CREATE TABLE "share_events" (
        "id" ${id},
        "peer" varchar,
        "origin" integer,
        "epoch" varchar,
        "sequence" varchar,
        "event" ${bytes} NOT NULL,
        "expires_at" bigint NOT NULL${key}
      )`,
      `CREATE INDEX "ix_share_events_sequence" ON "share_events" ("sequence", "id")`,
      `CREATE TABLE "share_deliveries" (
        "event_id" bigint NOT NULL,
        "peer" varchar NOT NULL,
        CONSTRAINT "pk_share_deliveries" PRIMARY KEY ("event_id", "peer")
      )`,
      `CREATE INDEX "ix_share_deliveries_peer" ON "share_deliveries" ("peer", "event_id")`,
      `CREATE TABLE "share_peers" (
        "peer" varchar NOT NULL,
        "holder" varchar NOT NULL,
        "held_until" bigint NOT NULL,
        CONSTRAINT "pk_share_peers" PRIMARY KEY ("peer")
      )`,
      `CREATE TABLE "share_epochs" (
        "origin" integer NOT NULL,
        "epoch" varchar NOT NULL,
        "sequence" varchar NOT NULL,
        CONSTRAINT "pk_share_epochs" PRIMARY KEY ("origin")
      )`,
      `CREATE TABLE "share_origins" (
        "origin" integer NOT NULL,
        "epoch" varchar NOT NULL,
        "applied" varchar NOT NULL,
        CONSTRAINT "pk_share_origins" PRIMARY KEY ("origin")
      )`,
      `CREATE TABLE "share_marks" (
        "code_hash" varchar NOT NULL,
        "fetches" integer NOT NULL,
        "until" bigint NOT NULL,
        CONSTRAINT "pk_share_marks" PRIMARY KEY ("code_hash")
      )`,
      `CREATE INDEX "ix_share_marks_until" ON "share_marks" ("until")`,
      `CREATE TABLE "share_servers" (
        "id" integer NOT NULL,
        "url" varchar NOT NULL,
        "status" varchar NOT NULL,
        "last_seen" bigint NOT NULL,
        "reports" integer NOT NULL,
        CONSTRAINT "pk_share_servers" PRIMARY KEY ("id")
      )`,
    ])
      await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['servers', 'marks', 'origins', 'epochs', 'peers', 'deliveries', 'events'])
      await runner.query(`DROP TABLE "share_${table}"`)
  }
}
