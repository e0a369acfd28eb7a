import { existsSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Which spec the code of a folder walks; the innermost folder counts. */
const specs: readonly (readonly [path: RegExp, spec: string])[] = [
  [/\/dkls23\/sign\//, 'sign'],
  [/\/dkls23\/keygen\//, 'keygen'],
  [/\/setup\//, 'setup'],
  [/\/zero-share\.ts$/, 'setup'],
  [/\/hedge\.ts$/, 'hedge'],
  [/\/vole\//, 'vole'],
  [/\/ot\//, 'ot'],
]

const NUMBER = String.raw`(?:H\.\d|\d+\.\d+(?:\.\d+)?)(?:\s?[–-]\s?(?:H\.)?\d+(?:\.\d+)*)?`
const CITATION = new RegExp(
  String.raw`(?://|\*|\bsteps?)\s*(?:★\s*)?(?:Step\s+)?(${NUMBER}(?:(?:,| and)\s*(?:★\s*)?${NUMBER})*)`,
)

/** The steps that a line of source names: at the beginning of its comment, and after each semicolon. */
export function citationIn(line: string): string | undefined {
  const found = CITATION.exec(line)
  if (found === null) return undefined
  const rest = line.slice(found.index + found[0].length).matchAll(FURTHER)
  return [found[1]!, ...[...rest].map(([, step]) => step!)].join(', ').replaceAll('★ ', '')
}

const FURTHER = new RegExp(String.raw`;\s+(?:★\s*)?(${NUMBER})\s`, 'g')

const indentOf = (line: string): number => line.length - line.trimStart().length

export interface Citation {
  readonly step: string
  /** Whether it is that of the whole function. */
  readonly ofFunction: boolean
}

/**
 * The step at a line of source (counted from 0): the one its statement names, at its end or on any of its lines, else
 * the nearest one above it in the same function, else that of the function's own comment.
 */
export function stepAt(source: readonly string[], line: number): Citation | undefined {
  const own = citationIn(source[line] ?? '')
  if (own !== undefined) return { step: own, ofFunction: false }
  const indent = indentOf(source[line] ?? '')
  for (let next = line + 1; next < source.length; next++) {
    const text = source[next]!
    const continues = indentOf(text) > indent || /^\s*[)\]}]/.test(text)
    if (!continues || text.trim() === '') break
    const found = citationIn(text)
    if (found !== undefined) return { step: found, ofFunction: false }
  }
  let above = false // has the function's own comment begun
  for (let previous = line - 1; previous >= 0; previous--) {
    const text = source[previous]!
    if (text.startsWith('}')) return undefined
    if (above && !/^\s*(?:\/\*\*|\*)/.test(text)) return undefined
    if (/^(?:export )?(?:async )?(?:function|const|class)\b/.test(text)) above = true
    const found = citationIn(text)
    if (found !== undefined) return { step: found, ofFunction: above }
  }
  return undefined
}

interface Mapped {
  readonly map: SourceMap
  readonly sources: ReadonlyMap<string, readonly string[]>
}

const maps = new Map<string, Mapped | undefined>()

function mapOf(url: string): Mapped | undefined {
  if (!maps.has(url)) {
    const file = `${fileURLToPath(url)}.map`
    if (existsSync(file)) {
      const payload = JSON.parse(readFileSync(file, 'utf8')) as { sources: string[] }
      const map = new SourceMap(payload as never)
      const sources = payload.sources.map((source): [string, readonly string[]] => [
        source,
        readFileSync(fileURLToPath(new URL(source, url)), 'utf8').split('\n'),
      ])
      maps.set(url, { map, sources: new Map(sources) })
    } else maps.set(url, undefined)
  }
  return maps.get(url)
}

const FRAME = /(file:\/\/[^\s()]+\/mpc\/dist\/src\/[^\s()]+\.js):(\d+):(\d+)\)?$/

/**
 * The steps under way in a stack of ours, outermost spec first, such as `sign 2.5 › vole 4.2 › ot 3.2.1`; of each spec
 * the innermost step that a statement names, else the innermost that a function does.
 */
export function stepsOf(stack: string): string {
  const bySpec = new Map<string, Citation>()
  for (const frame of stack.split('\n')) {
    const found = FRAME.exec(frame)
    if (found === null) continue
    const [, url, line, column] = found
    const mapped = mapOf(url!)
    const entry = mapped?.map.findEntry(Number(line) - 1, Number(column) - 1)
    if (mapped === undefined || entry === undefined || !('originalSource' in entry)) continue
    const source = mapped.sources.get(entry.originalSource)
    const spec = specs.find(([path]) =>
      path.test(entry.originalSource.replace(/^(?:\.\.\/)*/, '/')),
    )
    if (source === undefined || spec === undefined) continue
    const step = stepAt(source, entry.originalLine)
    const known = bySpec.get(spec[1])
    if (step === undefined || known?.ofFunction === false || (known && step.ofFunction)) continue
    bySpec.set(spec[1], step)
  }
  return [...bySpec]
    .reverse()
    .map(([spec, { step }]) => `${spec} ${step}`)
    .join(' › ')
}
