import { EntitySchema, EntitySchemaOptions, type EntitySchemaColumnOptions } from 'typeorm'

export type Engine = 'sqlite' | 'postgres'

/** The one type whose name differs between the engines. */
export const bytesType = (engine: Engine) => (engine === 'postgres' ? 'bytea' : 'blob')

/** One table: its rows' fields, and what keeps them apart and together. */
export function table<Row extends object>(
  name: string,
  options: Omit<EntitySchemaOptions<Row>, 'name' | 'tableName'>,
): EntitySchema<Row> {
  const all = Object.assign(new EntitySchemaOptions<Row>(), { name, tableName: name }, options)
  return new EntitySchema(all)
}

/** Options of one column; `name` is what SQL calls it. */
type Column = EntitySchemaColumnOptions

export const text = (name: string, more: Partial<Column> = {}): Column => ({
  type: 'varchar',
  name,
  ...more,
})

export const primaryText = (name: string, constraint: string): Column =>
  text(name, { primary: true, primaryKeyConstraintName: constraint })

export const integer = (name: string, more: Partial<Column> = {}): Column => ({
  type: 'integer',
  name,
  ...more,
})

/** A whole number of 64 bits, which `pg` hands out as text. */
export const wide = (name: string, more: Partial<Column> = {}): Column => ({
  type: 'bigint',
  name,
  transformer: {
    to: (value: unknown) => value,
    from: (value: unknown) => (value === null ? null : Number(value)),
  },
  ...more,
})

/** Milliseconds since 1970. */
export const time = wide

export const flag = (name: string): Column => ({ type: 'boolean', name })

/** Public bytes, kept as lower-case hex so that an operator can read and search them. */
export const hexText = (name: string, more: Partial<Column> = {}): Column => text(name, more)

/** Bytes that only the row seal can read. */
export const sealed = (engine: Engine, name: string, more: Partial<Column> = {}): Column => ({
  type: bytesType(engine),
  name,
  ...more,
})

export const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')

/** The inverse of {@link toHex}, for text that this store wrote. A plain Uint8Array, never a pooled Buffer. */
export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

/**
 * Whether both engines can hold this text exactly: no NUL, no half of a surrogate pair. A look-up with any other text
 * finds nothing.
 */
export const isStorable = (value: string): boolean => !/[\0\p{Surrogate}]/u.test(value)
