import { directoryText, measureDirectory, type Plan } from './measure.js'
import { keypackage } from './keypackage.js'
import { keyserver } from './keyserver.js'
import { log } from './log.js'
import { share } from './share.js'
import { sigchain } from './sigchain.js'

/** Every system that is measured. */
const systems = [sigchain, keypackage, keyserver, share, log]

/** Requests per second of each system of the key directory beside node:http, and races for one place. */
export async function benchDirectory(
  { quick, json }: { readonly quick: boolean; readonly json: boolean },
  progress: (what: string) => void,
): Promise<{ readonly text: string; readonly ok: boolean }> {
  const plan: Plan = quick
    ? { rounds: 2, count: 800, races: 20 }
    : { rounds: 7, count: 8000, races: 200 }
  const found = await measureDirectory(systems, plan, progress)
  const ok = found.races.every(({ races, wonOnce }) => races === wonOnce)
  return { text: json ? `${JSON.stringify(found)}\n` : directoryText(found), ok }
}
