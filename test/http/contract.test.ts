import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Drain } from '../../src/http/drain.js'
import { routesOf } from '../../src/http/app.js'
import { vaultErrorTypes, type Vault } from '../../src/vault/index.js'
import { loadContract } from '../../src/http/contract.js'
import { allowsBody, operations, wrongExamples } from './contract-checker.js'
import { wildBody } from './wild.js'

const routes = routesOf({
  // Routes are only listed here, nobody asks the vault.
  vault: {} as Vault,
  relayAllow: [],
  drain: new Drain(),
  answers: () => true,
  version: '0',
})
const asTemplate = (path: string) => path.replace(/:(\w+)/g, '{$1}')

describe('openapi.yaml', () => {
  it('has every route of the app, and the app every route of it', () => {
    const inApp = routes.map((route) => `${route.method} ${asTemplate(route.path)}`)
    const inContract = operations().flatMap(({ method, template }) =>
      template === '/docs/{asset}'
        ? ['docs.css', 'docs.js', 'swagger-ui.css', 'swagger-ui-bundle.js'].map(
            (name) => `${method} /docs/${name}`,
          )
        : [`${method} ${template}`],
    )
    expect(inApp.length).toBeGreaterThan(20)
    expect(inApp.sort()).toEqual(inContract.sort())
  })

  it('has a key for exactly the routes that need one', () => {
    for (const { method, template, operation } of operations()) {
      const route = routes.find(
        (each) => each.method === method && asTemplate(each.path) === template,
      )
      const security = operation['security'] as Record<string, unknown>[] | undefined
      const needs =
        security === undefined
          ? 'user'
          : security.flatMap((each) => Object.keys(each)).join('-or-') || 'public'
      if (template !== '/docs/{asset}') expect([template, route?.access]).toEqual([template, needs])
    }
  })

  it('documents the statuses that every route can answer with', () => {
    for (const { method, template, operation } of operations()) {
      const statuses = Object.keys(operation['responses'] as object)
      const body = routes.find(
        (each) => each.method === method && asTemplate(each.path) === template,
      )?.body
      const always = ['200', '400', '404', '500']
      const withKey =
        operation['security'] === undefined || (operation['security'] as object[]).length > 0
          ? ['401', '429', '503']
          : []
      const withBody = body ? ['413', '415'] : []
      expect(statuses, `${method} ${template}`).toEqual(
        expect.arrayContaining([...always, ...withKey, ...withBody]),
      )
    }
  })

  it('knows every err_type of the service and no other', () => {
    const { components } = loadContract() as unknown as {
      components: { schemas: { ErrType: { enum: string[] } } }
    }
    expect([...components.schemas.ErrType.enum].sort()).toEqual([...vaultErrorTypes].sort())
  })

  it('has examples that its own schemas allow', () => {
    expect(wrongExamples()).toEqual([])
  })

  const withBody = routes.filter((route) => route.body !== null)
  it.each(withBody.map((route) => [route.method, route.path, route] as const))(
    'and the code agree on which bodies %s %s takes',
    (method, path, route) => {
      fc.assert(
        fc.property(wildBody(path), (body) => {
          const taken = route.body?.safeParse(body).success === true
          const allowed = allowsBody(method, asTemplate(path), body)
          // The code may be stricter where a schema cannot say it (names, ports), never laxer.
          expect(taken && !allowed, JSON.stringify(body)).toBe(false)
        }),
        { numRuns: 60, seed: 20 },
      )
    },
  )
})
