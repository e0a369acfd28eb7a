import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'
import { afterAll, expect, it } from 'vitest'
import { bundleForBrowser } from '../support/bundle.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

const CHROMIUM = '/usr/bin/chromium'
const page = join(import.meta.dirname, 'support/page.ts')
// With CI=true a missing browser fails the test instead.
const skip = !existsSync(CHROMIUM) && process.env['CI'] !== 'true'

const harness = new Harness()
let browser: Browser | undefined
let site: Server | undefined
afterAll(async () => {
  await browser?.close()
  site?.close()
  await harness.end()
})

interface Life {
  publicKey: number[]
  signatures: number[][]
  hasBuffer: boolean
  hasProcess: boolean
}

it('the SDK is bundled for browsers without anything of Node', async () => {
  const { inputs } = await bundleForBrowser(page, join(harness.folder, 'page.js'))
  const names = Object.keys(inputs)
  expect(names.some((name) => name.endsWith('sdk/src/index.ts'))).toBe(true)
  expect(
    names.filter((name) => /node:|secp256k1\/|\/ws\/|native|file-share-store/.test(name)),
  ).toEqual([])
  const code = readFileSync(join(harness.folder, 'page.js'), 'utf8')
  expect(code).not.toMatch(/\bBuffer\.(?:from|alloc|concat)|\bprocess\.(?:env|pid)|\brequire\(/)
})

it.skipIf(skip)(
  `a key is made and used in Chromium (${CHROMIUM})`,
  { timeout: 120_000 },
  async () => {
    await bundleForBrowser(page, join(harness.folder, 'page.js'))
    site = createServer((request, response) => {
      const script = request.url === '/page.js'
      response.setHeader('content-type', script ? 'text/javascript' : 'text/html')
      response.end(
        script
          ? readFileSync(join(harness.folder, 'page.js'))
          : '<!doctype html><title>app</title><script type="module" src="/page.js"></script>',
      )
    }).listen(0, '127.0.0.1')
    await once(site, 'listening')
    const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
    const server = await harness.server('vertex', { settings: { VERTEX_CORS_ORIGINS: origin } })
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    })
    const tab = await browser.newPage()
    await tab.goto(origin)
    await tab.waitForFunction('typeof life === "function"')
    const result: Life = await tab.evaluate(
      `life(${JSON.stringify(server.url)}, ${JSON.stringify(await server.createUser('in a browser'))})`,
    )
    expect([result.hasBuffer, result.hasProcess]).toEqual([false, false])
    expect(result.signatures).toHaveLength(2)
    for (const der of result.signatures)
      expect(
        opensslVerifies(
          Uint8Array.from(result.publicKey),
          utf8('from a browser'),
          Uint8Array.from(der),
        ),
      ).toBe(true)
  },
)
