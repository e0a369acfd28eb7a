import type { MigrationInterface, QueryRunner } from 'typeorm'

/**
 * Signed histories of identities, with the columns that the original documents. Never edited once released: a change is a
 * new migration.
 */
export class Sigchain1763900000000 implements MigrationInterface {
  readonly name = 'Sigchain1763900000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "sigchain_events" (
      "primary_scheme" varchar NOT NULL,
      "primary_id" varchar NOT NULL,
      "seq" bigint NOT NULL,
      "envelope_json" varchar NOT NULL,
      "envelope_hash" varchar NOT NULL,
      "created_at" varchar NOT NULL,
      "signed_bytes" varchar NOT NULL,
      "received_at" bigint NOT NULL,
      CONSTRAINT "pk_sigchain_events" PRIMARY KEY ("primary_scheme", "primary_id", "seq")
    )`)
  }

  down(): Promise<void> {
    return Promise.reject(
      new Error('this migration cannot be undone: it would delete what others have signed'),
    )
  }
}
