import { bundledTables, type BundledRow } from '../../src/store/bundled.js'

const indexOf = (name: string) => bundledTables.findIndex((one) => one.name === name)

export const MANY = 700

/** Users and, for each, a share: enough for several statements. */
export function* manyRows(): Generator<BundledRow> {
  for (let i = 0; i < MANY; i++)
    yield { table: indexOf('users'), cells: [`user-${i}`, `name ${i}`, i, false] }
  for (let i = 0; i < MANY; i++)
    yield {
      table: indexOf('shares'),
      cells: [
        ...[`share-${i}`, `user-${i}`, `02${i}`, 1, 0, 2, 2, `03${i}`, 'generated'],
        ...[new Uint8Array(300).fill(i), i, null],
      ],
    }
}
