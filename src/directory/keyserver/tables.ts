import type { EntitySchema } from 'typeorm'
import {
  bytesType,
  integer,
  primaryText,
  table,
  text,
  time,
  wide,
  type Engine,
} from '../../store/columns.js'

/** Under which key the chain was begun. There is one row. */
export interface ChainRow {
  id: number
  chainId: string
  /** Base64. */
  publicKey: string
}

/** One entry of the chain, and the message that it leads to. Hashes are lower-case hex. */
export interface EntryRow {
  position: number
  entry: Buffer
  entryHash: string
  uidIndex: string
  /** As it is given out: nobody opens it without the name. */
  message: Buffer
  serverSignature: string
  /** Finds all entries of a name again, for who has the keyserver's seed. */
  nameTag: string
  /** Base64, as its owner writes it. */
  sigKeyHash: string
  /** In seconds, as the message says it. */
  notAfter: number
  /** Milliseconds since 1970. */
  at: number
}

/** Who was the first to have a domain of another keyserver said to be theirs. */
export interface LinkRow {
  domain: string
  identity: string
  position: number
}

export interface KeyInitRow {
  id?: number
  sigKeyHash: string
  /** As it is given out. */
  keyInit: string
  /** 1 or 0. */
  fallback: number
  notBefore: number
  notAfter: number
}

/** A KeyInit that came here, whatever became of it. */
export interface TakenRow {
  digest: string
  notAfter: number
}

/** What a SIGKEY has said last about its KeyInits. */
export interface SigKeyRow {
  sigKeyHash: string
  messageCount: number
  nonce: number
}

export interface TokenRow {
  token: string
  usedAt: number
}

export const CHAIN = 'keyserver_chain'
export const ENTRIES = 'keyserver_entries'
export const LINKS = 'keyserver_links'
export const KEY_INITS = 'keyserver_key_inits'
export const TAKEN = 'keyserver_taken'
export const SIG_KEYS = 'keyserver_sig_keys'
export const TOKENS = 'keyserver_tokens'

const bytes = (engine: Engine, name: string) => ({ type: bytesType(engine), name }) as const

/** The tables of the keyserver. Migration 0008 makes them. */
export const keyserverTables = (engine: Engine): readonly EntitySchema[] => [
  table<ChainRow>(CHAIN, {
    columns: {
      id: integer('id', { primary: true, primaryKeyConstraintName: 'pk_keyserver_chain' }),
      chainId: text('chain_id'),
      publicKey: text('public_key'),
    },
  }),
  table<EntryRow>(ENTRIES, {
    columns: {
      position: wide('position', {
        primary: true,
        primaryKeyConstraintName: 'pk_keyserver_entries',
      }),
      entry: bytes(engine, 'entry'),
      entryHash: text('entry_hash'),
      uidIndex: text('uid_index'),
      message: bytes(engine, 'message'),
      serverSignature: text('server_signature'),
      nameTag: text('name_tag'),
      sigKeyHash: text('sig_key_hash'),
      notAfter: wide('not_after'),
      at: time('at'),
    },
    uniques: [
      { name: 'uq_keyserver_entries_hash', columns: ['entryHash'] },
      { name: 'uq_keyserver_entries_index', columns: ['uidIndex'] },
    ],
    indices: [
      { name: 'ix_keyserver_entries_name', columns: ['nameTag', 'position'] },
      { name: 'ix_keyserver_entries_key', columns: ['sigKeyHash', 'position'] },
    ],
  }),
  table<LinkRow>(LINKS, {
    columns: {
      domain: primaryText('domain', 'pk_keyserver_links'),
      identity: text('identity'),
      position: wide('position'),
    },
  }),
  table<KeyInitRow>(KEY_INITS, {
    columns: {
      id: {
        ...(engine === 'postgres' ? wide('id') : integer('id')),
        primary: true,
        generated: 'increment',
        ...(engine === 'postgres' ? { primaryKeyConstraintName: 'pk_keyserver_key_inits' } : {}),
      },
      sigKeyHash: text('sig_key_hash'),
      keyInit: text('key_init'),
      fallback: integer('fallback'),
      notBefore: wide('not_before'),
      notAfter: wide('not_after'),
    },
    indices: [
      { name: 'ix_keyserver_key_inits_key', columns: ['sigKeyHash', 'fallback', 'notAfter'] },
      { name: 'ix_keyserver_key_inits_end', columns: ['notAfter'] },
    ],
  }),
  table<TakenRow>(TAKEN, {
    columns: {
      digest: primaryText('digest', 'pk_keyserver_taken'),
      notAfter: wide('not_after'),
    },
    indices: [{ name: 'ix_keyserver_taken_end', columns: ['notAfter'] }],
  }),
  table<SigKeyRow>(SIG_KEYS, {
    columns: {
      sigKeyHash: primaryText('sig_key_hash', 'pk_keyserver_sig_keys'),
      messageCount: wide('message_count'),
      nonce: wide('nonce'),
    },
  }),
  table<TokenRow>(TOKENS, {
    columns: {
      token: primaryText('token', 'pk_keyserver_tokens'),
      usedAt: time('used_at'),
    },
  }),
]
