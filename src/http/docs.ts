import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { open, type Reply, type Route } from './routes.js'

// The page loads nothing from elsewhere and has no inline script or style, so that a strict policy can stand.

/** Everything from this server; nothing else, and no frame around it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vertex API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/docs.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/docs.js"></script>
</body>
</html>
`

const script = `SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#api',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
})
`

const style = `body { margin: 0; }
`

const css = 'text/css; charset=utf-8'
const javascript = 'text/javascript; charset=utf-8'

/** The contract as JSON and as a page. */
export function docsRoutes(contract: object): Route[] {
  const directory = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  const cache = new Map<string, Uint8Array>()
  const packaged = (name: string): Uint8Array => {
    const bytes = cache.get(name) ?? readFileSync(join(directory, name))
    cache.set(name, bytes)
    return bytes
  }
  const asset = (name: string, type: string, load: () => string | Uint8Array) =>
    open('get', `/docs/${name}`, () => Promise.resolve<Reply>({ text: load(), type }))

  return [
    open('get', '/openapi.json', () => Promise.resolve<Reply>({ json: contract })),
    open('get', '/docs', () =>
      Promise.resolve<Reply>({
        text: page,
        type: 'text/html; charset=utf-8',
        headers: { 'Content-Security-Policy': policy },
      }),
    ),
    asset('docs.css', css, () => style),
    asset('docs.js', javascript, () => script),
    asset('swagger-ui.css', css, () => packaged('swagger-ui.css')),
    asset('swagger-ui-bundle.js', javascript, () => packaged('swagger-ui-bundle.js')),
  ]
}
