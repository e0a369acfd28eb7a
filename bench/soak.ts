import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { descriptorsOf, rssOf } from './proc.js'
import { CLIENTS, window, withService } from './service.js'
import { median, slope } from './statistics.js'

const EVERY_MS = 5000
/** Until here compilers, caches and pools fill up. */
const WARM_UP_SHARE = 0.2
/** What may come and go in a process whose memory is flat: as much as this over the whole time, or that share. */
const FLAT_BYTES = 16 * 2 ** 20
const FLAT_SHARE = 0.1
const FLAT_DESCRIPTORS = 2

interface Point {
  /** Seconds. */
  readonly x: number
  readonly y: number
}

/** What was seen of one thing over time. */
export interface Course {
  readonly name: string
  readonly unit: 'bytes' | 'descriptors'
  readonly points: readonly Point[]
}

/** Whether a course went up; warming up left out. */
export function isFlat({ unit, points }: Course): { perMinute: number; flat: boolean } {
  const steady = points.slice(Math.floor(points.length * WARM_UP_SHARE))
  const perSecond = slope(steady)
  const growth = perSecond * (steady.at(-1)!.x - steady[0]!.x)
  const allowed =
    unit === 'descriptors'
      ? FLAT_DESCRIPTORS
      : Math.max(FLAT_BYTES, FLAT_SHARE * median(steady.map(({ y }) => y)))
  return { perMinute: perSecond * 60, flat: growth <= allowed }
}

/** Signs steadily for so many minutes and watches memory and descriptors. Answers what to print. */
export async function soak(minutes: number, progress: (what: string) => void): Promise<string> {
  const reporter = new URL('./heap-reporter.js', import.meta.url).href
  const heapFile = (folder: string) => join(folder, 'heap.json')
  const settings = (folder: string) => ({
    NODE_OPTIONS: `--import=${reporter}`,
    BENCH_HEAP_FILE: heapFile(folder),
  })
  return withService(settings, CLIENTS, async (service) => {
    const { vertex, clients } = service
    const courses = new Map<string, { unit: Course['unit']; points: Point[] }>()
    const rates: number[] = []
    const start = performance.now()
    const note = (name: string, unit: Course['unit'], y: number) => {
      const x = (performance.now() - start) / 1000
      const course = courses.get(name) ?? { unit, points: [] }
      course.points.push({ x, y })
      courses.set(name, course)
    }
    const end = start + minutes * 60_000
    while (performance.now() < end) {
      const seen = await window(service, 'sign', { lanes: CLIENTS, ms: EVERY_MS })
      rates.push(seen.report.signatures / seen.report.seconds)
      await sleep(50)
      note('server rss', 'bytes', rssOf(vertex.pid))
      note('server descriptors', 'descriptors', descriptorsOf(vertex.pid))
      note('client rss', 'bytes', rssOf(clients.pid))
      note('client descriptors', 'descriptors', descriptorsOf(clients.pid))
      const client = await clients.ask<NodeJS.MemoryUsage>('memory')
      note('client heap', 'bytes', client.heapUsed)
      note('client buffers', 'bytes', client.arrayBuffers)
      if (existsSync(heapFile(vertex.folder))) {
        const heap = JSON.parse(readFileSync(heapFile(vertex.folder), 'utf8')) as typeof client
        note('server heap', 'bytes', heap.heapUsed)
        note('server buffers', 'bytes', heap.arrayBuffers)
      }
      const left = Math.max(0, (end - performance.now()) / 1000).toFixed(0)
      progress(`soak, ${left} s left, ${rates.at(-1)!.toFixed(0)} signatures/s`)
    }
    return soakText(
      [...courses].map(([name, course]) => ({ name, ...course })),
      rates,
    )
  })
}

/** The verdicts for a terminal. */
export function soakText(courses: readonly Course[], rates: readonly number[]): string {
  const shown = (value: number, unit: Course['unit']) =>
    unit === 'bytes' ? `${(value / 2 ** 20).toFixed(1)} MiB` : value.toFixed(0)
  const lines = courses.map((course) => {
    const { name, unit, points } = course
    const { perMinute, flat } = isFlat(course)
    const all = points.map(({ y }) => y)
    const perMinuteShown =
      unit === 'bytes' ? `${(perMinute / 1024).toFixed(1)} KiB/min` : `${perMinute.toFixed(2)}/min`
    return [
      name.padEnd(20),
      shown(all[0]!, unit).padStart(12),
      shown(all.at(-1)!, unit).padStart(12),
      shown(Math.max(...all), unit).padStart(12),
      perMinuteShown.padStart(18),
      flat ? '  flat' : '  GROWS',
    ].join('')
  })
  const minutes = (courses[0]!.points.at(-1)!.x / 60).toFixed(1)
  return [
    `${minutes} minutes, ${courses[0]!.points.length} samples, ${median(rates).toFixed(1)} signatures/s`,
    '',
    `${''.padEnd(20)}${['first', 'last', 'most'].map((title) => title.padStart(12)).join('')}${'slope'.padStart(18)}`,
    ...lines,
    '',
  ].join('\n')
}
