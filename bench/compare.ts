import { randomBytes } from 'node:crypto'
import { interleave, type Contender } from './measure.js'
import { keygen, keygenWithSetups, setUpPair, sign, suites, type WholeKey } from './protocol.js'
import type { Rivals } from './rivals.js'
import type { Samples } from './samples.js'

/** How often each question is asked. */
export interface Rounds {
  readonly sign: number
  readonly keygen2of2: number
  /** Keygen of three takes a rival seconds. */
  readonly keygen2of3: number
  /** CPU time for which each contender runs before it is timed. */
  readonly warmUpMs: number
}

/** CPU of all parties for keygen, OT setup and signing: ours on both suites, and the rivals', in turn. */
export async function compareProtocols(
  rounds: Rounds,
  rivals: Rivals | undefined,
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  const native = suites.native()
  const portable = suites.portable()
  const digest = Uint8Array.from(randomBytes(32))
  const ask = async (what: string, warmUpMs: number, contenders: readonly Contender[]) => {
    const seen = await interleave(contenders, warmUpMs, (done, total) =>
      progress(`${what} ${done + 1}/${total}`),
    )
    for (const [name, values] of seen) samples.add(`${name}_cpu_ms`, ...values)
  }

  const [a, b] = [...keygen(native, 2, 2).keys()]
  await ask('parts of keygen', rounds.warmUpMs, [
    { name: 'keygen_2of2_alone', rounds: rounds.keygen2of2, run: () => keygen(native, 2, 2) },
    { name: 'ot_setup_pair', rounds: rounds.keygen2of2, run: () => setUpPair(native, a!, b!) },
  ])

  for (const [label, parties, keygenRounds, warmUpMs] of [
    ['2of2', 2, rounds.keygen2of2, rounds.warmUpMs],
    ['2of3', 3, rounds.keygen2of3, 0], // warm from two of two
  ] as const) {
    const key = keygenWithSetups(native, 2, parties)
    let rivalShares: readonly Uint8Array[] = []
    await ask(`keygen ${label}`, warmUpMs, [
      {
        name: `keygen_${label}`,
        rounds: keygenRounds,
        run: () => keygenWithSetups(native, 2, parties),
      },
      ...(parties === 2
        ? [
            {
              name: `portable_keygen_${label}`,
              rounds: keygenRounds,
              run: () => keygenWithSetups(portable, 2, parties),
            },
          ]
        : []),
      ...when(rivals, ({ dklsWasmLl }) => ({
        name: `keygen_${label}/dkls_wasm_ll`,
        rounds: keygenRounds,
        run: () => (rivalShares = dklsWasmLl.keygen(parties, 2)),
      })),
    ])
    const dealt = label === '2of2' ? await rivals?.tssDklsLib.setUp() : undefined
    await ask(`sign ${label}`, warmUpMs, [
      signing(`sign_${label}`, rounds.sign, native, key, digest),
      ...(label === '2of2'
        ? [signing('portable_sign_2of2', rounds.sign, portable, key, digest)]
        : []),
      ...when(rivals, ({ dklsWasmLl }) => ({
        name: `sign_${label}/dkls_wasm_ll`,
        rounds: rounds.sign,
        prepare: () => dklsWasmLl.load(rivalShares.slice(0, 2)),
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
}

function signing(
  name: string,
  rounds: number,
  suite: ReturnType<(typeof suites)['native']>,
  key: WholeKey,
  digest: Uint8Array,
): Contender {
  return { name, rounds, run: () => sign(suite, key, 2, digest) }
}

function when(rivals: Rivals | undefined, make: (rivals: Rivals) => Contender): Contender[] {
  return rivals === undefined ? [] : [make(rivals)]
}
