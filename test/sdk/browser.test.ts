import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { blake3 } from '@noble/hashes/blake3.js'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, expect, it } from 'vitest'
import { nobleCurve } from '../../mpc/src/curve/noble.js'
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

/** Serves the page; below `/strict/` under a content security policy that forbids WebAssembly. */
async function serve(): Promise<string> {
  site ??= createServer((request, response) => {
    const script = request.url === '/page.js'
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html')
    if (request.url === '/strict/')
      response.setHeader('content-security-policy', "default-src 'self'; script-src 'self'")
    response.end(
      script
        ? readFileSync(join(harness.folder, 'page.js'))
        : '<!doctype html><title>app</title><script type="module" src="/page.js"></script>',
    )
  }).listen(0, '127.0.0.1')
  if (!site.listening) await once(site, 'listening')
  return `http://127.0.0.1:${(site.address() as AddressInfo).port}`
}

async function openTab(url: string): Promise<Page> {
  browser ??= await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  const tab = await browser.newPage()
  await tab.goto(url)
  await tab.waitForFunction('typeof life === "function"')
  return tab
}

const K = 2n ** 255n - 19n
const portable = (tab: Page) =>
  tab.evaluate(`portable('${K}', new TextEncoder().encode('in a browser'))`)
const expected = {
  point: [...nobleCurve.encode(nobleCurve.mulBase(K))],
  hash: [...blake3(utf8('in a browser'), { key: new Uint8Array(32).fill(7) })],
}

it('the SDK is bundled for browsers without anything of Node', async () => {
  const { inputs } = await bundleForBrowser(page, join(harness.folder, 'page.js'))
  const names = Object.keys(inputs)
  expect(names.some((name) => name.endsWith('sdk/src/index.ts'))).toBe(true)
  expect(
    names.filter((name) => /node:|secp256k1\/|\/ws\/|mpc\/native|file-share-store/.test(name)),
  ).toEqual([])
  const code = readFileSync(join(harness.folder, 'page.js'), 'utf8')
  expect(code).not.toMatch(/\bBuffer\.(?:from|alloc|concat)|\bprocess\.(?:env|pid)|\brequire\(/)
})

it.skipIf(skip)(
  `a key is made and used in Chromium (${CHROMIUM})`,
  { timeout: 120_000 },
  async () => {
    await bundleForBrowser(page, join(harness.folder, 'page.js'))
    const origin = await serve()
    const server = await harness.server('vertex', { settings: { VERTEX_CORS_ORIGINS: origin } })
    const tab = await openTab(origin)
    // What the SDK takes by itself is the kernel, and not what stands in for it.
    expect(await portable(tab)).toEqual({ ...expected, curve: 'wasm', kernel: 'wasm' })
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

it.skipIf(skip)(
  'a page that forbids WebAssembly gets the reference and noble’s curve',
  async () => {
    await bundleForBrowser(page, join(harness.folder, 'page.js'))
    const tab = await openTab(`${await serve()}/strict/`)
    expect(await portable(tab)).toEqual({ ...expected, curve: 'noble', kernel: 'reference' })
  },
)
