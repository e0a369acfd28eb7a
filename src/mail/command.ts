import { spawn } from 'node:child_process'
import { MailRefused } from './mail.js'

const TIMEOUT_MS = 30_000

/**
 * Runs a program of the operator's, `PROGRAM EMAIL URL`. There is no shell in between, and no environment but what it
 * needs to find other programs. Other users of this machine may see the arguments while it runs.
 */
export function sendByCommand(program: string) {
  return (email: string, url: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const { PATH, HOME, LANG } = process.env
      const child = spawn(program, [email, url], {
        shell: false,
        stdio: 'ignore',
        env: { PATH, HOME, LANG },
        timeout: TIMEOUT_MS,
        killSignal: 'SIGKILL',
      })
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(new MailRefused(`the command: ${error.code ?? error.name}`))
      })
      child.once('close', (code, signal) => {
        if (code === 0) resolve()
        else reject(new MailRefused(`the command ended with ${signal ?? code ?? 'nothing'}`))
      })
    })
}
