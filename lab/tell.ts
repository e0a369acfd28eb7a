import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { project } from './places.js'

/**
 * Tells a stopped vault that its database was put back from an older copy.
 * @param settings those of its server
 */
export function tellRestored(folder: string, settings: Readonly<Record<string, string>>): void {
  execFileSync(process.execPath, [join(project, 'dist/cli/main.js'), 'restore', '--in-place'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}
