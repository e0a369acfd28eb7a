import { SealedValueInvalid, type RowSeal } from '../vault/ports.js'

/**
 * Seals the secret columns. The identity of a value names its table, its column and every field of its row that must
 * not be changed behind its back; each field is preceded by its length, so no two rows share an identity.
 */
export class Sealer {
  constructor(private readonly rowSeal: RowSeal) {}

  seal(
    table: string,
    column: string,
    fields: readonly (string | number)[],
    plaintext: Uint8Array,
  ): Buffer {
    return Buffer.from(this.rowSeal.seal({ table, id: identity(fields), column }, plaintext))
  }

  /** @throws SealedValueInvalid */
  open(
    table: string,
    column: string,
    fields: readonly (string | number)[],
    sealed: Uint8Array,
  ): Uint8Array {
    try {
      return this.rowSeal.open({ table, id: identity(fields), column }, sealed)
    } catch {
      throw new SealedValueInvalid(table, column)
    }
  }
}

function identity(fields: readonly (string | number)[]): string {
  return fields
    .map(String)
    .map((field) => `${field.length}:${field}`)
    .join('')
}
