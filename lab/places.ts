import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder of the project, from the sources and from what is built of them. */
export const project = (() => {
  for (let folder = import.meta.dirname; ; folder = dirname(folder))
    if (existsSync(join(folder, 'package-lock.json'))) return folder
})()

/** The built server. */
export const program = join(project, 'dist/main.js')
/** The built module that is loaded before it. */
export const hook = join(project, 'dist-tools/lab/hook.js')
