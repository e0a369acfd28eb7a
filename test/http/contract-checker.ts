import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { loadContract } from '../../src/http/contract.js'

type Json = Record<string, unknown>

const contract = closed(loadContract()) as Json & { paths: Record<string, Record<string, Json>> }
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema({ $id: 'https://vertex/openapi', ...contract })

const validators = new Map<string, ValidateFunction>()

/** Answers are open for clients, so that members may be added; a test wants to know of every one. */
function closed(value: unknown, inAllOf = false): unknown {
  if (Array.isArray(value)) return value.map((item) => closed(item, inAllOf))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value as Json).map(([name, member]) => [
    name,
    closed(member, name === 'allOf'),
  ])
  const copy = Object.fromEntries(members) as Json
  const isObject = copy['type'] === 'object' && typeof copy['properties'] === 'object'
  if (isObject && !inAllOf) copy['additionalProperties'] ??= false
  return copy
}

function pointer(...path: string[]): string {
  return path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function validator(at: string): ValidateFunction {
  const known = validators.get(at)
  if (known) return known
  const made = ajv.compile({ $ref: `https://vertex/openapi#${at}` })
  validators.set(at, made)
  return made
}

function lookUp(at: string): unknown {
  return at
    .split('/')
    .slice(1)
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((value, part) => (value as Json | undefined)?.[part], contract)
}

/** Follows a reference of the document, one step. */
function resolved(at: string): string {
  const found = lookUp(at) as { $ref?: string } | undefined
  return found?.$ref === undefined ? at : found.$ref.slice(1)
}

/** The template of the contract that a path answers to. */
export function templateOf(path: string): string | undefined {
  const plain = path.split('?')[0] ?? ''
  const templates = Object.keys(contract.paths)
  return (
    templates.find((template) => template === plain) ??
    templates.find((template) =>
      new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`).test(plain),
    )
  )
}

/** Why an answer is not what openapi.yaml says; empty when it is. */
export function complaints(
  method: string,
  path: string,
  answer: { status: number; type: string | null; body: unknown },
): string[] {
  const template = templateOf(path)
  const operation = template && contract.paths[template]?.[method.toLowerCase()]
  if (!template || !operation) {
    const notFound = answer.status === 404 && (answer.body as Json)['err_type'] === 'not_found'
    return notFound ? [] : [`${method} ${path} is not in the contract and answers ${answer.status}`]
  }
  const at = resolved(
    pointer('paths', template, method.toLowerCase(), 'responses', String(answer.status)),
  )
  const response = lookUp(at) as { content?: Record<string, Json> } | undefined
  if (response === undefined) return [`${method} ${template} has no documented ${answer.status}`]
  const type = (answer.type ?? '').split(';')[0] ?? ''
  if (response.content?.[type] === undefined)
    return [`${method} ${template} ${answer.status} is ${type}`]
  const validate = validator(`${at}${pointer('content', type, 'schema')}`)
  if (validate(answer.body)) return []
  return [
    `${method} ${template} ${answer.status}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(answer.body).slice(0, 300)}`,
  ]
}

/** Whether the contract allows this JSON as the body of a request. */
export function allowsBody(method: string, template: string, body: unknown): boolean {
  const at = pointer(
    'paths',
    template,
    method,
    'requestBody',
    'content',
    'application/json',
    'schema',
  )
  return validator(at)(body)
}

/** Every operation: method, path template, and its own part of the contract. */
export function operations(): { method: string; template: string; operation: Json }[] {
  const methods = ['get', 'post', 'put', 'delete', 'patch']
  return Object.entries(contract.paths).flatMap(([template, item]) =>
    methods.flatMap((method) => {
      const operation = item[method]
      return operation ? [{ method, template, operation }] : []
    }),
  )
}

/** Every example in the contract that is wrong, by its own schema. */
export function wrongExamples(): string[] {
  const wrong: string[] = []
  let seen = 0
  const walk = (value: unknown, at: string): void => {
    if (typeof value !== 'object' || value === null) return
    const node = value as Json
    if ('schema' in node && ('example' in node || 'examples' in node)) {
      const named = node['examples'] as Record<string, { value: unknown }> | undefined
      const examples = named ? Object.values(named).map((each) => each.value) : [node['example']]
      const validate = validator(`${at}/schema`)
      for (const example of examples) {
        seen++
        if (!validate(example)) wrong.push(`${at}: ${ajv.errorsText(validate.errors)}`)
      }
    }
    for (const [name, member] of Object.entries(node))
      if (name !== 'example' && name !== 'examples') walk(member, `${at}${pointer(name)}`)
  }
  walk(contract.paths, '/paths')
  walk(contract['components'], '/components')
  if (seen < 20) wrong.push(`only ${seen} examples seen`)
  return wrong
}
