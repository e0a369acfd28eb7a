import { parseArgs } from 'node:util'
import { randomBytes } from 'node:crypto'
import { compareProtocols } from './compare.js'
import { emptyTraffic, keygenWithSetups, sign, suites } from './protocol.js'
import { makeReport, printTable } from './report.js'
import { loadRivals } from './rivals.js'
import { measureService } from './service.js'

const help = `npm run bench -- [--quick] [--rivals] [--json]

  --quick   fewer rounds; ends within 50 s
  --rivals  also installs and times other libraries on the same work, in turn with ours, and prints the ratios
  --json    one JSON object on stdout, with "results" and "ratios"
`

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rivals: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (flags.help) {
  process.stdout.write(help)
  process.exit(0)
}

const progress = (what: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what} …`)
}
const rounds = flags.quick ? { keygen: 2, sign: 7 } : { keygen: 7, sign: 41 }
const seconds = flags.quick ? 2 : 15

const rivals = flags.rivals ? await loadRivals() : undefined
const samples = await compareProtocols(rounds, rivals, progress)

const suite = suites.native()
const traffic: Record<string, ReturnType<typeof emptyTraffic>> = {}
for (const parties of [2, 3]) {
  const label = `2of${parties}`
  const made = { keygen: emptyTraffic(), setup: emptyTraffic() }
  const key = keygenWithSetups(suite, 2, parties, made)
  const signing = emptyTraffic()
  sign(suite, key, 2, Uint8Array.from(randomBytes(32)), signing)
  traffic[`keygen_${label}`] = made.keygen
  traffic[`ot_setup_${label}`] = made.setup
  traffic[`sign_${label}`] = signing
}

const loads = await measureService([1, 32], seconds, progress)
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
const report = makeReport(suite.curve.name, samples, traffic, loads)
if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`)
else printTable(report)
process.exit(0)
