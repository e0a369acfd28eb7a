import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ThreadPool, type PoolOptions } from '../../src/engine/pool.js'
import { buildOnce } from './server.js'

const program = pathToFileURL(join(import.meta.dirname, '../../dist/engine/worker.js'))

/** Real threads, on the built sources. */
export async function startThreads(options: Partial<PoolOptions> = {}): Promise<ThreadPool> {
  await buildOnce()
  return ThreadPool.start({ program, log: () => undefined, ...options })
}
