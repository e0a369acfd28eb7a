import { parseArgs } from 'node:util'
import { compareProtocols, type Rounds } from './compare.js'
import { measureCost } from './cost.js'
import { benchDirectory } from './directory/index.js'
import { measureGrowth } from './growth.js'
import { describeMachine } from './machine.js'
import { measureServices, type ServicePlan } from './measure-service.js'
import { profileSigning } from './profile.js'
import { suites } from './protocol.js'
import { makeReport, toText } from './report.js'
import { loadRivals } from './rivals.js'
import { measureRooms } from './rooms.js'
import { Samples } from './samples.js'
import type { WarmWindows } from './service.js'
import { soak } from './soak.js'
import { measureTraffic } from './traffic.js'
import { writeDocs } from './write.js'

const help = `npm run bench -- [--quick] [--rivals] [--json] [--write]
npm run bench -- --soak [--minutes N]
npm run bench -- --profile
npm run bench -- --directory [--quick] [--json]

  --quick    fewer rounds; ends within 50 s, and leaves out growth
  --rivals   also installs and times other libraries on the same work, in turn with ours, and prints the ratios
  --json     one JSON object on stdout, with "results", "ratios", "spread" and "targets"
  --write    puts the numbers into docs/performance.md and draws docs/pictures/performance.svg
  --soak     signs steadily for 10 minutes, or N, and tells whether memory and descriptors stay flat
  --profile  shows where a signature's time goes, by step of the spec and by primitive
  --directory  requests per second of each system of the key directory beside node:http, and races for one place
`

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rivals: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '10' },
    profile: { type: 'boolean', default: false },
    directory: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (flags.help) {
  process.stdout.write(help)
  process.exit(0)
}

interface Plan {
  readonly rounds: Rounds
  readonly service: ServicePlan
  readonly growth?: WarmWindows
}

const began = performance.now()
const progress = (what: string) => {
  const seconds = ((performance.now() - began) / 1000).toFixed(0).padStart(3)
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${seconds} s  ${what} …`)
  else process.stderr.write(`${seconds} s  ${what}\n`)
}
const plan: Plan = flags.quick
  ? {
      rounds: { sign: 9, keygen2of2: 2, keygen2of3: 1, warmUpMs: 700 },
      service: {
        throughput: { count: 2, ms: 800, warmUpMs: 1000 },
        latencyMs: 1000,
        probes: { count: 1000, gapMs: 3 },
        batch: { count: 1, ms: 500 },
      },
    }
  : {
      rounds: { sign: 41, keygen2of2: 9, keygen2of3: 5, warmUpMs: 2000 },
      service: {
        throughput: { count: 7, ms: 5000, warmUpMs: 30_000 },
        latencyMs: 10_000,
        probes: { count: 2000, gapMs: 5 },
        batch: { count: 5, ms: 2000 },
      },
      growth: { count: 7, ms: 3000, warmUpMs: 20_000 },
    }

if (flags.soak) {
  const minutes = Number(flags.minutes)
  if (!(minutes > 0)) throw new RangeError('--minutes is a positive number')
  const text = await soak(minutes, progress)
  process.stdout.write(text)
  process.exit(text.includes('GROWS') ? 1 : 0)
}
if (flags.directory) {
  const { text, ok } = await benchDirectory(flags, progress)
  process.stdout.write(text)
  process.exit(ok ? 0 : 1)
}
if (flags.profile) {
  process.stdout.write(await profileSigning(progress))
  process.exit(0)
}

const rivals = flags.rivals ? await loadRivals() : undefined
const samples = new Samples()
await compareProtocols(plan.rounds, rivals, samples, progress)
measureTraffic(samples)
progress('cost model')
measureCost(flags.quick ? 1 : 3, samples)
const skipped = await measureServices(plan.service, samples, progress)
if (plan.growth === undefined) skipped.push('growth and open rooms: in the full run only')
else {
  await measureRooms(samples, progress)
  await measureGrowth(plan.growth, samples, progress)
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
const machine = describeMachine(suites.native(), suites.portable(), flags.rivals)
const report = makeReport(machine, samples, skipped)
if (flags.write) await writeDocs(report)
process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : toText(report))
process.exit(0)
