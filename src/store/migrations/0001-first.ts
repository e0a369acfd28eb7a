import type { MigrationInterface, QueryRunner } from 'typeorm'
import { bytesType, type Engine } from '../columns.js'

/** The first tables. Never edited once released: a change is a new migration. */
export class First1763700000000 implements MigrationInterface {
  readonly name = 'First1763700000000'

  async up(runner: QueryRunner): Promise<void> {
    const engine: Engine = runner.dataSource.options.type === 'postgres' ? 'postgres' : 'sqlite'
    for (const statement of statements(bytesType(engine))) await runner.query(statement)
  }

  down(): Promise<void> {
    return Promise.reject(
      new Error('the first migration cannot be undone: it would delete all keys'),
    )
  }
}

const statements = (bytes: string): readonly string[] => [
  `CREATE TABLE "meta" (
    "id" integer NOT NULL,
    "generation" varchar NOT NULL,
    "born_at" bigint NOT NULL,
    "sentinel" ${bytes} NOT NULL,
    "checked_at" bigint NOT NULL,
    CONSTRAINT "pk_meta" PRIMARY KEY ("id")
  )`,
  `CREATE TABLE "recorded_secrets" (
    "kind" varchar NOT NULL,
    "fingerprint" varchar NOT NULL,
    "name" varchar NOT NULL,
    "version" varchar NOT NULL,
    "recorded_at" bigint NOT NULL,
    CONSTRAINT "pk_recorded_secrets" PRIMARY KEY ("kind", "fingerprint")
  )`,
  `CREATE TABLE "users" (
    "user_id" varchar NOT NULL,
    "name" varchar NOT NULL,
    "created_at" bigint NOT NULL,
    "recovered" boolean NOT NULL,
    CONSTRAINT "pk_users" PRIMARY KEY ("user_id"),
    CONSTRAINT "uq_users_name" UNIQUE ("name")
  )`,
  `CREATE TABLE "api_keys" (
    "api_key_id" varchar NOT NULL,
    "user_id" varchar NOT NULL,
    "secret_hash" varchar NOT NULL,
    "issued_at" bigint NOT NULL,
    "expires_at" bigint,
    "recovered" boolean NOT NULL,
    CONSTRAINT "pk_api_keys" PRIMARY KEY ("api_key_id"),
    CONSTRAINT "fk_api_keys_user" FOREIGN KEY ("user_id") REFERENCES "users" ("user_id") ON DELETE NO ACTION ON UPDATE NO ACTION
  )`,
  `CREATE INDEX "ix_api_keys_user" ON "api_keys" ("user_id")`,
  `CREATE TABLE "pending_keys" (
    "key_id" varchar NOT NULL,
    "user_id" varchar NOT NULL,
    "keygen_id" varchar NOT NULL,
    "identity_secret" ${bytes} NOT NULL,
    "created_at" bigint NOT NULL,
    CONSTRAINT "pk_pending_keys" PRIMARY KEY ("key_id"),
    CONSTRAINT "fk_pending_keys_user" FOREIGN KEY ("user_id") REFERENCES "users" ("user_id") ON DELETE NO ACTION ON UPDATE NO ACTION
  )`,
  `CREATE INDEX "ix_pending_keys_user" ON "pending_keys" ("user_id")`,
  `CREATE TABLE "shares" (
    "share_id" varchar NOT NULL,
    "user_id" varchar NOT NULL,
    "public_key" varchar NOT NULL,
    "party" integer NOT NULL,
    "epoch" integer NOT NULL,
    "threshold" integer NOT NULL,
    "parties" integer NOT NULL,
    "keygen_id" varchar NOT NULL,
    "provenance" varchar NOT NULL,
    "record" ${bytes} NOT NULL,
    "created_at" bigint NOT NULL,
    "confirmed_at" bigint,
    CONSTRAINT "pk_shares" PRIMARY KEY ("share_id"),
    CONSTRAINT "uq_shares_identity" UNIQUE ("user_id", "public_key", "party", "epoch"),
    CONSTRAINT "uq_shares_owner" UNIQUE ("user_id", "share_id"),
    CONSTRAINT "fk_shares_user" FOREIGN KEY ("user_id") REFERENCES "users" ("user_id") ON DELETE NO ACTION ON UPDATE NO ACTION
  )`,
  `CREATE TABLE "key_handles" (
    "key_id" varchar NOT NULL,
    "user_id" varchar NOT NULL,
    "share_id" varchar NOT NULL,
    "source_digest" varchar,
    "created_at" bigint NOT NULL,
    CONSTRAINT "pk_key_handles" PRIMARY KEY ("key_id"),
    CONSTRAINT "uq_key_handles_source" UNIQUE ("user_id", "source_digest"),
    CONSTRAINT "fk_key_handles_share" FOREIGN KEY ("user_id", "share_id") REFERENCES "shares" ("user_id", "share_id") ON DELETE NO ACTION ON UPDATE NO ACTION
  )`,
  `CREATE INDEX "ix_key_handles_share" ON "key_handles" ("share_id")`,
  `CREATE TABLE "ot_setups" (
    "setup_id" varchar NOT NULL,
    "share_id" varchar NOT NULL,
    "peer" integer NOT NULL,
    "record" ${bytes},
    "created_at" bigint NOT NULL,
    "superseded_at" bigint,
    "retired_at" bigint,
    CONSTRAINT "pk_ot_setups" PRIMARY KEY ("setup_id")
  )`,
  `CREATE INDEX "ix_ot_setups_peer" ON "ot_setups" ("share_id", "peer")`,
  `CREATE TABLE "crypto_failures" (
    "failure_id" varchar NOT NULL,
    "share_id" varchar NOT NULL,
    "peer" integer NOT NULL,
    "at" bigint NOT NULL,
    CONSTRAINT "pk_crypto_failures" PRIMARY KEY ("failure_id")
  )`,
  `CREATE INDEX "ix_crypto_failures_peer" ON "crypto_failures" ("share_id", "peer", "at")`,
  `CREATE TABLE "tombstones" (
    "kind" varchar NOT NULL,
    "user_id" varchar NOT NULL,
    "subject" varchar NOT NULL,
    "created_at" bigint NOT NULL,
    CONSTRAINT "pk_tombstones" PRIMARY KEY ("kind", "user_id", "subject")
  )`,
]
