import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import type { System } from '../directory/system.js'
import { HttpProblem } from './errors.js'
import { mountSystems } from './systems.js'
import { traceRequests, type TraceOptions } from './trace.js'

export interface DirectoryAppOptions extends TraceOptions {
  /** Whose word on where a request came from is believed. */
  readonly trustedProxies?: readonly string[]
}

/** A system of the directory by itself. It counts nobody's requests, as the original does not: a proxy may. */
export function createDirectoryApp(system: System, options: DirectoryAppOptions): Express {
  const app = express()
  const { trustedProxies = [] } = options
  app.set('trust proxy', trustedProxies.length > 0 ? [...trustedProxies] : false)
  const traceOf = traceRequests(app, options)
  // Here everything is the system's.
  const alone = { ...system, paths: [...system.paths, ''] }
  const answer = mountSystems(
    app,
    { systems: [alone], admitToSystems: () => 0, logger: options.logger },
    traceOf,
  )
  app.use(() => {
    throw new HttpProblem('not_found', 'there is no such route')
  })
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
    if (!answer(error, req, res)) next(error)
  })
  return app
}
