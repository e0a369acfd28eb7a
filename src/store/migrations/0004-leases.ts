import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Which process answers for this database. Never edited once released: a change is a new migration. */
export class Leases1763850000000 implements MigrationInterface {
  readonly name = 'Leases1763850000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "leases" (
      "name" varchar NOT NULL,
      "holder" varchar NOT NULL,
      "expires_at" bigint NOT NULL,
      CONSTRAINT "pk_leases" PRIMARY KEY ("name")
    )`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "leases"')
  }
}
