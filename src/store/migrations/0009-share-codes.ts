import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Share codes, and the mail that verifies their addresses. Never edited once released: a change is a new migration. */
export class ShareCodes1764100000000 implements MigrationInterface {
  readonly name = 'ShareCodes1764100000000'

  async up(runner: QueryRunner): Promise<void> {
    const isPostgres = runner.dataSource.options.type === 'postgres'
    const bytes = isPostgres ? 'bytea' : 'blob'
    const [id, key] = isPostgres
      ? ['bigserial NOT NULL', (name: string) => `, CONSTRAINT "${name}" PRIMARY KEY ("id")`]
      : ['integer PRIMARY KEY AUTOINCREMENT NOT NULL', () => '']
    for (const statement of [
      `CREATE TABLE "share_codes" (
        "code" varchar NOT NULL,
        "payload" ${bytes} NOT NULL,
        "delete_token_hash" varchar NOT NULL,
        "expires_at" bigint NOT NULL,
        "max_fetches" integer NOT NULL,
        "fetches" integer NOT NULL,
        "failures" integer NOT NULL,
        "email" varchar,
        "email_token_hash" varchar,
        "verified_at" bigint,
        CONSTRAINT "pk_share_codes" PRIMARY KEY ("code")
      )`,
      `CREATE INDEX "ix_share_codes_expires" ON "share_codes" ("expires_at")`,
      `CREATE TABLE "share_mails" (
        "id" ${id},
        "code" varchar NOT NULL,
        "email" varchar NOT NULL,
        "url" varchar NOT NULL,
        "due_at" bigint NOT NULL,
        "expires_at" bigint NOT NULL,
        "attempts" integer NOT NULL${key('pk_share_mails')}
      )`,
      `CREATE INDEX "ix_share_mails_code" ON "share_mails" ("code")`,
      `CREATE INDEX "ix_share_mails_due" ON "share_mails" ("due_at")`,
      `CREATE TABLE "share_mail_counts" (
        "id" ${id},
        "who" varchar NOT NULL,
        "counted_at" bigint NOT NULL${key('pk_share_mail_counts')}
      )`,
      `CREATE INDEX "ix_share_mail_counts_who" ON "share_mail_counts" ("who", "counted_at")`,
      `CREATE INDEX "ix_share_mail_counts_at" ON "share_mail_counts" ("counted_at")`,
      `CREATE TABLE "share_secret" (
        "id" integer NOT NULL,
        "secret" ${bytes} NOT NULL,
        CONSTRAINT "pk_share_secret" PRIMARY KEY ("id")
      )`,
    ])
      await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['share_codes', 'share_mails', 'share_mail_counts', 'share_secret'])
      await runner.query(`DROP TABLE "${table}"`)
  }
}
