// A process that asks a server again and again whether it lives.
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { serveTasks } from './child.js'

const agent = new Agent({ keepAlive: true })

/** Milliseconds from asking to the end of the answer. */
function probe(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const from = performance.now()
    request(`${url}/livez`, { agent }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(performance.now() - from))
    })
      .once('error', reject)
      .end()
  })
}

serveTasks({
  /** By the clock, not one after the other: a slow answer must not spare the server the next question. */
  probe: async ({ url, count, gapMs }: { url: string; count: number; gapMs: number }) => {
    const start = performance.now()
    const answers: Promise<number>[] = []
    for (let i = 0; i < count; i++) {
      const wait = start + i * gapMs - performance.now()
      if (wait > 0) await sleep(wait)
      answers.push(probe(url))
    }
    return Promise.all(answers)
  },
})
