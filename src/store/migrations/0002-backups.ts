import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What is known of the backups of each share. Never edited once released: a change is a new migration. */
export class Backups1763750000000 implements MigrationInterface {
  readonly name = 'Backups1763750000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "backups" (
      "share_id" varchar NOT NULL,
      "user_id" varchar NOT NULL,
      "digest" varchar NOT NULL,
      "exported_at" bigint NOT NULL,
      "secret_fingerprint" varchar,
      "secret_name" varchar,
      "secret_version" varchar,
      "verified_at" bigint,
      "drilled_at" bigint,
      CONSTRAINT "pk_backups" PRIMARY KEY ("share_id"),
      CONSTRAINT "fk_backups_share" FOREIGN KEY ("user_id", "share_id") REFERENCES "shares" ("user_id", "share_id") ON DELETE NO ACTION ON UPDATE NO ACTION
    )`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "backups"')
  }
}
