// `npm run sbom`: writes sbom.cdx.json, the CycloneDX list of every package that a server is installed with. Taken from
// the lockfile, so it says the same on every machine, whatever lies in node_modules.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const root = new URL('..', import.meta.url)
const text = execFileSync(
  'npm',
  [
    'sbom',
    '--sbom-format=cyclonedx',
    '--sbom-type=application',
    '--omit=dev',
    '--package-lock-only',
  ],
  {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  },
)
const bom = JSON.parse(text)
// npm takes the name of the folder.
bom.metadata.component.name = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).name
const path = new URL('sbom.cdx.json', root)
writeFileSync(path, `${JSON.stringify(bom, null, 2)}\n`)
console.log(`${bom.components.length} packages are listed in sbom.cdx.json`)
