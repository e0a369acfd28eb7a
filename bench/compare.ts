import { randomBytes } from 'node:crypto'
import { interleave, type Contender } from './measure.js'
import { keygen, keygenWithSetups, setUpPair, sign, suites, type WholeKey } from './protocol.js'
import type { Rivals } from './rivals.js'

/** How often each question is asked. Keygen of a rival takes seconds, so it gets fewer rounds. */
export interface Rounds {
  readonly keygen: number
  readonly sign: number
}

export type Samples = ReadonlyMap<string, readonly number[]>

/** CPU of all parties for keygen, OT setup and signing: ours on both curve backends, and the rivals', in turn. */
export async function compareProtocols(
  rounds: Rounds,
  rivals: Rivals | undefined,
  progress: (what: string) => void,
): Promise<Samples> {
  const native = suites.native()
  const portable = suites.portable()
  const digest = Uint8Array.from(randomBytes(32))
  const all = new Map<string, readonly number[]>()
  const ask = async (what: string, contenders: readonly Contender[]) => {
    const samples = await interleave(contenders, (done, total) =>
      progress(`${what} ${done + 1}/${total}`),
    )
    for (const [name, values] of samples) all.set(name, values)
  }

  const [a, b] = [...keygen(native, 2, 2).keys()]
  await ask('parts of keygen', [
    { name: 'keygen_2of2_alone', rounds: rounds.keygen, run: () => keygen(native, 2, 2) },
    { name: 'ot_setup_pair', rounds: rounds.keygen, run: () => setUpPair(native, a!, b!) },
    {
      name: 'portable_keygen_2of2',
      rounds: Math.min(2, rounds.keygen),
      run: () => keygenWithSetups(portable, 2, 2),
    },
  ])

  for (const [label, threshold, parties] of [
    ['2of2', 2, 2],
    ['2of3', 2, 3],
  ] as const) {
    const key = keygenWithSetups(native, threshold, parties)
    await ask(`keygen ${label}`, [
      {
        name: `keygen_${label}`,
        rounds: rounds.keygen,
        run: () => keygenWithSetups(native, threshold, parties),
      },
      ...when(rivals, ({ dklsWasmLl }) => ({
        name: `keygen_${label}/dkls_wasm_ll`,
        rounds: rounds.keygen,
        run: () => dklsWasmLl.keygen(parties, threshold),
      })),
    ])
    const rivalShares = rivals?.dklsWasmLl.keygen(parties, threshold).slice(0, threshold)
    const dealt = label === '2of2' ? await rivals?.tssDklsLib.setUp() : undefined
    await ask(`sign ${label}`, [
      signing(`sign_${label}`, rounds.sign, native, key, threshold, digest),
      ...(label === '2of2'
        ? [signing('portable_sign_2of2', rounds.sign, portable, key, threshold, digest)]
        : []),
      ...when(rivals, ({ dklsWasmLl }) => ({
        name: `sign_${label}/dkls_wasm_ll`,
        rounds: rounds.sign,
        prepare: () => dklsWasmLl.load(rivalShares!),
        run: (shares: unknown) => dklsWasmLl.sign(shares, digest),
      })),
      ...(dealt === undefined
        ? []
        : when(rivals, ({ tssDklsLib }) => ({
            name: `sign_${label}/tss_dkls_lib`,
            rounds: rounds.sign,
            run: () => tssDklsLib.sign(dealt, digest),
          }))),
    ])
  }

  return all
}

function signing(
  name: string,
  rounds: number,
  suite: ReturnType<(typeof suites)['native']>,
  key: WholeKey,
  signers: number,
  digest: Uint8Array,
): Contender {
  return { name, rounds, run: () => sign(suite, key, signers, digest) }
}

function when(rivals: Rivals | undefined, make: (rivals: Rivals) => Contender): Contender[] {
  return rivals === undefined ? [] : [make(rivals)]
}
