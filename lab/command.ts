import { execFile } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { project } from './places.js'

/** The setting of a server that keeps anchors of its audit log in a file. */
export const ANCHOR_FILE = 'VERTEX_AUDIT_ANCHOR_FILE'

/** A vault as its operator's commands see it. */
interface Place {
  /** Where its server runs. */
  readonly folder: string
  /** Those of its server. */
  readonly settings: Readonly<Record<string, string>>
}

interface Ended {
  readonly failed: boolean
  readonly stdout: string
  readonly stderr: string
}

function vertex({ folder, settings }: Place, ...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(project, 'dist/cli/main.js'), ...words],
      { cwd: folder, env: { PATH: process.env['PATH'], ...settings } },
      (error, stdout, stderr) => resolve({ failed: error !== null, stdout, stderr }),
    )
  })
}

/** Tells a stopped vault that its database was put back from an older copy. */
export async function tellRestored(place: Place): Promise<void> {
  const { failed, stderr } = await vertex(place, 'restore', '--in-place')
  if (failed) throw new Error(`vertex restore --in-place: ${stderr}`)
}

/**
 * Checks the audit log, beside a server or without one. Records of what has begun and not ended are in order: a server
 * that is killed leaves them.
 * @returns what is wrong with it; undefined when nothing is
 */
export async function auditProblem(place: Place): Promise<string | undefined> {
  const words = ['audit', 'verify', '--json']
  // With its anchors it cannot have lost its end either.
  const anchors = place.settings[ANCHOR_FILE]
  if (anchors !== undefined && existsSync(anchors) && statSync(anchors).size > 0)
    words.push('--anchors', anchors)
  const { failed, stdout, stderr } = await vertex(place, ...words)
  const report = stdout === '' ? undefined : (JSON.parse(stdout) as AuditReport)
  if (failed || report?.ok !== true) return `${stdout}${stderr}`.trim()
  if (!report.codes) return 'its codes were not checked'
  return report.head.seq === 0 ? 'it is empty' : undefined
}

interface AuditReport {
  readonly ok: boolean
  readonly codes: boolean
  readonly head: { readonly seq: number }
}
