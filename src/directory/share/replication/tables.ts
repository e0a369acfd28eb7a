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
} from '../../../store/columns.js'

/** What happened here and is still to be told. */
export const EVENTS = 'share_events'
/** To whom. */
export const DELIVERIES = 'share_deliveries'
/** Which process tells a peer now. */
export const PEERS = 'share_peers'
/** The last number that was given to an event that happened here. */
export const EPOCHS = 'share_epochs'
/** What was applied of other servers' events. */
export const ORIGINS = 'share_origins'
/** How often shares were given out that are not here (any more). */
export const MARKS = 'share_marks'
/** Servers that have reported. */
export const SERVERS = 'share_servers'

const key = (name: string, constraint: string) =>
  integer(name, { primary: true, primaryKeyConstraintName: constraint })

/** Migration 0010 makes them. */
export const replicationTables = (engine: Engine): readonly EntitySchema[] => [
  table(EVENTS, {
    columns: {
      /** In the order in which they happened to one share. */
      id: {
        ...(engine === 'postgres' ? wide('id') : integer('id')),
        primary: true,
        generated: 'increment',
        ...(engine === 'postgres' ? { primaryKeyConstraintName: 'pk_share_events' } : {}),
      },
      /** The only one it is for; without, it is for all. */
      peer: text('peer', { nullable: true }),
      /** Its number (docs/spec/share-replication.md, 5.5), in digits; null until it has one. */
      origin: integer('origin', { nullable: true }),
      epoch: text('epoch', { nullable: true }),
      sequence: text('sequence', { nullable: true }),
      /** Without its number. */
      event: { type: bytesType(engine), name: 'event' },
      /** When its share ends, and with it the use of telling. */
      expiresAt: time('expires_at'),
    },
    indices: [{ name: 'ix_share_events_sequence', columns: ['sequence', 'id'] }],
  }),
  table(DELIVERIES, {
    columns: {
      eventId: wide('event_id', { primary: true, primaryKeyConstraintName: 'pk_share_deliveries' }),
      peer: primaryText('peer', 'pk_share_deliveries'),
    },
    indices: [{ name: 'ix_share_deliveries_peer', columns: ['peer', 'eventId'] }],
  }),
  table(PEERS, {
    columns: {
      peer: primaryText('peer', 'pk_share_peers'),
      holder: text('holder'),
      heldUntil: time('held_until'),
    },
  }),
  table(EPOCHS, {
    columns: {
      origin: key('origin', 'pk_share_epochs'),
      epoch: text('epoch'),
      sequence: text('sequence'),
    },
  }),
  table(ORIGINS, {
    columns: {
      origin: key('origin', 'pk_share_origins'),
      epoch: text('epoch'),
      /** Ranges of numbers: 5.1. */
      applied: text('applied'),
    },
  }),
  table(MARKS, {
    columns: {
      codeHash: primaryText('code_hash', 'pk_share_marks'),
      /** More than any share can have where it is gone. */
      fetches: integer('fetches'),
      until: time('until'),
    },
    indices: [{ name: 'ix_share_marks_until', columns: ['until'] }],
  }),
  table(SERVERS, {
    columns: {
      id: key('id', 'pk_share_servers'),
      url: text('url'),
      status: text('status'),
      lastSeen: time('last_seen'),
      reports: integer('reports'),
    },
  }),
]
