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

export const CODES = 'share_codes'
export const MAILS = 'share_mails'
export const COUNTS = 'share_mail_counts'
export const SECRET = 'share_secret'

/** The tables of share codes; migration 0009 makes them. */
export const shareTables = (engine: Engine): EntitySchema[] => {
  const bytes = (name: string) => ({ type: bytesType(engine), name }) as const
  const number = (constraint: string) =>
    ({
      ...(engine === 'postgres' ? wide('id') : integer('id')),
      primary: true,
      generated: 'increment',
      ...(engine === 'postgres' ? { primaryKeyConstraintName: constraint } : {}),
    }) as const
  return [
    table(CODES, {
      columns: {
        code: primaryText('code', 'pk_share_codes'),
        payload: bytes('payload'),
        deleteTokenHash: text('delete_token_hash'),
        expiresAt: time('expires_at'),
        maxFetches: integer('max_fetches'),
        fetches: integer('fetches'),
        /** How often somebody named the code with a wrong token. */
        failures: integer('failures'),
        email: text('email', { nullable: true }),
        /** Null where another server has sent the mail, or nobody. */
        emailTokenHash: text('email_token_hash', { nullable: true }),
        verifiedAt: wide('verified_at', { nullable: true }),
      },
      indices: [{ name: 'ix_share_codes_expires', columns: ['expiresAt'] }],
    }),
    table(MAILS, {
      columns: {
        id: number('pk_share_mails'),
        code: text('code'),
        email: text('email'),
        url: text('url'),
        /** When it is to be sent, or looked at again. */
        dueAt: time('due_at'),
        expiresAt: time('expires_at'),
        attempts: integer('attempts'),
      },
      indices: [
        { name: 'ix_share_mails_code', columns: ['code'] },
        { name: 'ix_share_mails_due', columns: ['dueAt'] },
      ],
    }),
    table(COUNTS, {
      columns: {
        id: number('pk_share_mail_counts'),
        who: text('who'),
        countedAt: time('counted_at'),
      },
      indices: [
        { name: 'ix_share_mail_counts_who', columns: ['who', 'countedAt'] },
        { name: 'ix_share_mail_counts_at', columns: ['countedAt'] },
      ],
    }),
    table(SECRET, {
      columns: {
        id: integer('id', { primary: true, primaryKeyConstraintName: 'pk_share_secret' }),
        secret: bytes('secret'),
      },
    }),
  ]
}
