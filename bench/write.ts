import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { chart } from './chart.js'
import { shown, type Report } from './report.js'

const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const BEGIN = '<!-- numbers: npm run bench -- --rivals --write -->'
const END = '<!-- end of numbers -->'

/** Puts the numbers of a run into docs/performance.md, and draws its picture. */
export async function writeDocs(report: Report): Promise<void> {
  const page = `${docs}performance.md`
  const text = withNumbers(readFileSync(page, 'utf8'), numbers(report))
  const style = await resolveConfig(page)
  writeFileSync(page, await format(text, { ...style, parser: 'markdown' }))
  writeFileSync(`${docs}pictures/performance.svg`, chart(report))
}

/** @throws Error when the page has no place for them */
export function withNumbers(page: string, block: string): string {
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from < 0 || to < from) throw new Error('the page has no block of numbers')
  return `${page.slice(0, from)}${BEGIN}\n\n${block}\n\n${page.slice(to)}`
}

/** Machine, targets, all medians: as Markdown. */
export function numbers(report: Report): string {
  const { machine } = report
  const rivals = Object.entries(machine.rivals).map(([name, version]) => `${name} ${version}`)
  const spread = (name: string) => {
    const of = report.spread[name]
    return of === undefined ? ['–', '–', '–'] : [shown(of.min), shown(of.max), String(of.samples)]
  }
  return [
    `Measured on ${machine.date}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, Node ${machine.node} (${machine.arch}). Curve ${machine.curve}, kernel ${machine.kernel}; portable curve ${machine.portable_curve}.${rivals.length === 0 ? '' : ` Rivals: ${rivals.join(', ')}.`}`,
    '',
    report.settings,
    '',
    ...table(
      ['What', 'Target', 'Measured', 'Smallest', 'Largest', ''],
      report.targets.map(({ name, what, value, atMost, atLeast, met }) => {
        const [min, max] = spread(name)
        const limits = [
          ...(atLeast === undefined ? [] : [`≥ ${shown(atLeast)}`]),
          ...(atMost === undefined ? [] : [`≤ ${shown(atMost)}`]),
        ]
        const measured = value === undefined ? 'not measured' : amount(value, atMost)
        const verdict = met === undefined ? '–' : met ? 'met' : '**missed**'
        return [`${what} (\`${name}\`)`, limits.join(', '), measured, min!, max!, verdict]
      }),
    ),
    ...report.skipped.map((what) => `\nNot measured: ${what}.`),
    '',
    'All medians; CPU in milliseconds of all parties together.',
    '',
    ...table(
      ['Result', 'Median', 'Smallest', 'Largest', 'Samples'],
      Object.entries({ ...report.results, ...report.ratios }).map(([name, value]) => [
        `\`${name}\``,
        shown(value),
        ...spread(name),
      ]),
    ),
  ].join('\n')
}

/** A ratio whose limit is a small fraction is shown as one, too. */
function amount(value: number, limit: number | undefined): string {
  if (limit === undefined || limit > 0.4) return shown(value)
  return `1/${(1 / value).toFixed(1)}`
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)]
}
