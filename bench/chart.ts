import type { Report } from './report.js'

/** A bar: whose it is, and the result that it shows. */
interface Bar {
  readonly label: string
  readonly result: string
  readonly ours?: boolean
}

interface Panel {
  readonly title: string
  readonly note: string
  readonly unit: string
  readonly bars: readonly Bar[]
}

const panels: readonly Panel[] = [
  {
    title: 'One signature of a 2-of-2 key',
    note: 'CPU of both parties; shorter is better',
    unit: 'ms',
    bars: [
      { label: 'Vertex', result: 'sign_2of2_cpu_ms', ours: true },
      { label: 'Vertex, portable', result: 'portable_sign_2of2_cpu_ms', ours: true },
      { label: 'tss-dkls-lib', result: 'sign_2of2/tss_dkls_lib_cpu_ms' },
      { label: 'dkls-wasm-ll', result: 'sign_2of2/dkls_wasm_ll_cpu_ms' },
    ],
  },
  {
    title: 'One keygen of a 2-of-2 key, OT setup included',
    note: 'CPU of both parties; tss-dkls-lib has no keygen',
    unit: 'ms',
    bars: [
      { label: 'Vertex', result: 'keygen_2of2_cpu_ms', ours: true },
      { label: 'Vertex, portable', result: 'portable_keygen_2of2_cpu_ms', ours: true },
      { label: 'dkls-wasm-ll', result: 'keygen_2of2/dkls_wasm_ll_cpu_ms' },
    ],
  },
  {
    title: 'Signatures per second on this machine',
    note: '32 clients; HTTP, relay, database and SDK included; longer is better',
    unit: '/s',
    bars: [
      { label: 'bare protocol, 2 processes', result: 'protocol_2_processes_signatures_per_s' },
      { label: 'with its channel, 2 processes', result: 'run_2_processes_signatures_per_s' },
      { label: 'Vertex on SQLite', result: 'service_sqlite_signatures_per_s', ours: true },
      { label: 'Vertex on Postgres', result: 'service_postgres_signatures_per_s', ours: true },
    ],
  },
]

const WIDTH = 960
const LEFT = 232
const RIGHT = 110
const ROW = 30
const MARGIN = 28

/** The comparison as a picture, on a ground of its own so that it reads on light and on dark pages. */
export function chart(report: Report): string {
  const parts: string[] = []
  let y = MARGIN
  for (const { title, note, unit, bars } of panels) {
    const measured = bars.filter(({ result }) => report.results[result] !== undefined)
    if (measured.length === 0) continue
    const valueOf = ({ result }: Bar) => report.results[result]!
    const longest = Math.max(...measured.map(valueOf))
    parts.push(
      `<text class="h" x="${MARGIN}" y="${y + 16}">${escape(title)}</text>`,
      `<text class="p" x="${MARGIN}" y="${y + 36}">${escape(note)}</text>`,
    )
    y += 50
    for (const bar of measured) {
      const width = Math.max(2, ((WIDTH - LEFT - RIGHT) * valueOf(bar)) / longest)
      parts.push(
        `<text class="l" x="${LEFT - 12}" y="${y + 19}" text-anchor="end">${escape(bar.label)}</text>`,
        `<rect class="${bar.ours === true ? 'o' : 't'}" x="${LEFT}" y="${y + 4}" width="${width.toFixed(1)}" height="${ROW - 9}" rx="3"/>`,
        `<text class="v" x="${(LEFT + width + 8).toFixed(1)}" y="${y + 19}">${numberOf(valueOf(bar))} ${escape(unit)}</text>`,
      )
      y += ROW
    }
    y += 26
  }
  const { cpu, cores, node, date } = report.machine
  parts.push(
    `<text class="p" x="${MARGIN}" y="${y + 6}">${escape(`${cpu}, ${cores} cores, Node ${node}, ${date}. Medians of one interleaved run.`)}</text>`,
  )
  const height = y + 28
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif" role="img" aria-labelledby="t d">`,
    '<title id="t">Vertex beside other threshold ECDSA libraries</title>',
    `<desc id="d">${escape(inWords(report))}</desc>`,
    '<style>.h{font-size:17px;font-weight:700;fill:#0f172a}.p{font-size:13px;fill:#475569}.l{font-size:14px;fill:#0f172a}.v{font-size:14px;font-weight:600;fill:#334155}.o{fill:#2563eb}.t{fill:#94a3b8}</style>',
    `<rect width="${WIDTH}" height="${height}" rx="14" fill="#f8fafc"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

const numberOf = (value: number): string =>
  value.toLocaleString('en-US', {
    maximumSignificantDigits: value < 100 ? 2 : 3,
    ...(value >= 1000 ? { maximumSignificantDigits: 4 } : {}),
  })

/** What the bars show, for those who do not see them. */
const inWords = (report: Report): string =>
  panels
    .map(({ title, unit, bars }) => {
      const shown = bars
        .filter(({ result }) => report.results[result] !== undefined)
        .map(({ label, result }) => `${label} ${numberOf(report.results[result]!)} ${unit}`)
      return `${title}: ${shown.join(', ')}.`
    })
    .join(' ')

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
