import type { MigrationInterface, QueryRunner } from 'typeorm'
import { bytesType, type Engine } from '../columns.js'

/**
 * The keyserver: its chain, keys that are given out once, and what was used up. No name stands in it. Never edited once
 * released: a change is a new migration.
 */
export class Keyserver1764050000000 implements MigrationInterface {
  readonly name = 'Keyserver1764050000000'

  async up(runner: QueryRunner): Promise<void> {
    const engine: Engine = runner.dataSource.options.type === 'postgres' ? 'postgres' : 'sqlite'
    for (const statement of statements(engine)) await runner.query(statement)
  }

  down(): Promise<void> {
    return Promise.reject(
      new Error('this migration cannot be undone: it would delete the chain of the keyserver'),
    )
  }
}

const statements = (engine: Engine): readonly string[] => {
  const bytes = bytesType(engine)
  const isPostgres = engine === 'postgres'
  const id = isPostgres ? 'bigserial NOT NULL' : 'integer PRIMARY KEY AUTOINCREMENT NOT NULL'
  const idKey = isPostgres ? `, CONSTRAINT "pk_keyserver_key_inits" PRIMARY KEY ("id")` : ''
  return [
    `CREATE TABLE "keyserver_chain" (
      "id" integer NOT NULL,
      "chain_id" varchar NOT NULL,
      "public_key" varchar NOT NULL,
      CONSTRAINT "pk_keyserver_chain" PRIMARY KEY ("id")
    )`,
    `CREATE TABLE "keyserver_entries" (
      "position" bigint NOT NULL,
      "entry" ${bytes} NOT NULL,
      "entry_hash" varchar NOT NULL,
      "uid_index" varchar NOT NULL,
      "message" ${bytes} NOT NULL,
      "server_signature" varchar NOT NULL,
      "name_tag" varchar NOT NULL,
      "sig_key_hash" varchar NOT NULL,
      "not_after" bigint NOT NULL,
      "at" bigint NOT NULL,
      CONSTRAINT "pk_keyserver_entries" PRIMARY KEY ("position"),
      CONSTRAINT "uq_keyserver_entries_hash" UNIQUE ("entry_hash"),
      CONSTRAINT "uq_keyserver_entries_index" UNIQUE ("uid_index")
    )`,
    `CREATE INDEX "ix_keyserver_entries_name" ON "keyserver_entries" ("name_tag", "position")`,
    `CREATE INDEX "ix_keyserver_entries_key" ON "keyserver_entries" ("sig_key_hash", "position")`,
    `CREATE TABLE "keyserver_links" (
      "domain" varchar NOT NULL,
      "identity" varchar NOT NULL,
      "position" bigint NOT NULL,
      CONSTRAINT "pk_keyserver_links" PRIMARY KEY ("domain")
    )`,
    `CREATE TABLE "keyserver_key_inits" (
      "id" ${id},
      "sig_key_hash" varchar NOT NULL,
      "key_init" varchar NOT NULL,
      "fallback" integer NOT NULL,
      "not_before" bigint NOT NULL,
      "not_after" bigint NOT NULL${idKey}
    )`,
    `CREATE INDEX "ix_keyserver_key_inits_key" ON "keyserver_key_inits" ("sig_key_hash", "fallback", "not_after")`,
    `CREATE INDEX "ix_keyserver_key_inits_end" ON "keyserver_key_inits" ("not_after")`,
    `CREATE TABLE "keyserver_taken" (
      "digest" varchar NOT NULL,
      "not_after" bigint NOT NULL,
      CONSTRAINT "pk_keyserver_taken" PRIMARY KEY ("digest")
    )`,
    `CREATE INDEX "ix_keyserver_taken_end" ON "keyserver_taken" ("not_after")`,
    `CREATE TABLE "keyserver_sig_keys" (
      "sig_key_hash" varchar NOT NULL,
      "message_count" bigint NOT NULL,
      "nonce" bigint NOT NULL,
      CONSTRAINT "pk_keyserver_sig_keys" PRIMARY KEY ("sig_key_hash")
    )`,
    `CREATE TABLE "keyserver_tokens" (
      "token" varchar NOT NULL,
      "used_at" bigint NOT NULL,
      CONSTRAINT "pk_keyserver_tokens" PRIMARY KEY ("token")
    )`,
  ]
}
