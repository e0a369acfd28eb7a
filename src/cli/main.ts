#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { run } from './program.js'

const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
const { version } = JSON.parse(manifest) as { version: string }
// Not process.exit(): what was written may still be on its way into a pipe, and a server goes on.
process.exitCode = await run(process.argv.slice(2), process, version)
