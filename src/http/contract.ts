import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export interface Contract {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** The contract that this server keeps, as it lies beside the build. */
export function loadContract(): Contract {
  return parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as Contract
}
