import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { operations } from './contract-checker.js'
import { startVertex, type TestVertex } from './vertex.js'

const executablePath = '/usr/bin/chromium'
const skip = !existsSync(executablePath) && process.env['CI'] !== 'true'

let vertex: TestVertex
beforeAll(async () => {
  vertex = await startVertex()
})
afterAll(() => vertex.stop())

it.skipIf(skip)(
  'the API page shows every operation in a browser, with nothing from elsewhere',
  async () => {
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    try {
      const page = await browser.newPage()
      const complaints: string[] = []
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('request', (request) => {
        if (!request.url().startsWith(vertex.url) && !request.url().startsWith('data:'))
          complaints.push(request.url())
      })
      await page.goto(`${vertex.url}/docs`)
      await page.locator('.opblock').first().waitFor()
      expect(await page.locator('.opblock').count()).toBe(operations().length)
      expect(complaints).toEqual([])
    } finally {
      await browser.close()
    }
  },
)
