import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readConfig, settings } from '../../src/config.js'

const root = resolve(import.meta.dirname, '../..')
const folder = join(root, 'terraform')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const withoutComments = (source: string) => source.replace(/^\s*#.*$/gm, '')
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
const sources = files.filter((name) => name.endsWith('.tf'))
const module = sources.filter((name) => !name.includes('/'))
const moduleSource = module.map((name) => withoutComments(read(name))).join('\n')

/** The environment that a test of the module expects, which Terraform has proved to be the one it makes. */
function environment(file: string, run: string): Record<string, string> {
  const [, body] = new RegExp(`run "${run}" \\{([^]*?)^\\}`, 'm').exec(read(`tests/${file}`))!
  const [, map] = /template\[0\]\.container\[0\]\.env : [^\n]*== \{\n([^]*?)\n\s*\}\n/.exec(body!)!
  return Object.fromEntries(
    [...map!.matchAll(/(\w+)\s*= "(.*)"/g)].map(([, name, value]) => [name!, value!]),
  )
}

describe('the Terraform module', () => {
  it('has the files of its kind', () => {
    expect(module).toEqual(
      expect.arrayContaining([
        'terraform.tf',
        'variables.tf',
        'locals.tf',
        'outputs.tf',
        'main.tf',
      ]),
    )
    const others = module.filter(
      (name) => !/^(terraform|variables|locals|outputs|main)\.tf$/.test(name),
    )
    for (const name of others) expect(name).toMatch(/^main\.[a-z_]+\.tf$/)
    for (const example of ['default', 'existing-key-vault', 'private-network'])
      expect(sources).toContain(`examples/${example}/main.tf`)
  })

  it('has the documented variables, all optional', () => {
    for (const part of ['name', 'vault_name', 'rg_name']) {
      const name = `server_share_backup_encryption_secret_${part}`
      expect(read('variables.tf')).toMatch(
        new RegExp(`variable "${name}" \\{\\n  type        = string\\n  default     = null\\n`),
      )
    }
  })

  it('describes every variable and output, and its README says the same', () => {
    for (const name of sources)
      for (const [, kind, block, body] of read(name).matchAll(
        /^(variable|output) "(\w+)" \{\n([^]*?)^\}/gm,
      ))
        expect(body, `${name}: ${kind} ${block}`).toMatch(/^ {2}description +=/m)
    const check = () =>
      execFileSync(process.execPath, ['scripts/terraform-readme.mjs', '--check'], { cwd: root })
    expect(check).not.toThrow()
  })

  it('has nothing through which the value of a secret could come into the state', () => {
    expect(moduleSource).not.toMatch(/"azurerm_key_vault_secrets?"/)
    expect(moduleSource).not.toMatch(/administrator_(login|password)|"random_|"tls_|local-exec/)
    expect(moduleSource).not.toMatch(/(primary|secondary)_(shared_key|access_key)/)
    expect(moduleSource).toContain('access_keys_authentication_enabled = false')
    expect(moduleSource).toMatch(/password_auth_enabled +=\s+false/)
    // The platform would keep it.
    expect(moduleSource).not.toMatch(/^ {2}secret \{/m)
    // Nor an address with a password in it.
    expect(moduleSource).not.toMatch(/:\/\/[^/"\s]*:[^/"\s]*@/)
  })

  it('gives the service settings that it knows and starts with', () => {
    const encrypted = environment('service.tftest.hcl', 'names_and_addresses_only')
    const plain = environment('backup.tftest.hcl', 'none_is_plaintext_and_says_so')
    expect(Object.keys(encrypted).length).toBeGreaterThan(10)
    expect(plain).toHaveProperty('VERTEX_ALLOW_RAW_EXPORT')

    const config = readConfig(encrypted)
    expect(config.backup).toMatchObject({
      mode: 'encrypted',
      source: {
        kind: 'azure',
        vaultUrl: 'https://kv-security.vault.azure.net',
        name: 'vertex-backup-secret',
        clientId: encrypted['AZURE_CLIENT_ID'],
      },
    })
    expect(config.storageKey).toMatchObject({
      kind: 'azure',
      vaultUrl: 'https://kv-vertex.vault.azure.net',
      name: 'vertex-storage-key',
    })
    expect(config.transport.kind).toBe('proxy')

    const common = Object.entries(encrypted).filter(([name]) => !name.includes('BACKUP'))
    const plaintext = readConfig({ ...Object.fromEntries(common), ...plain })
    expect(plaintext.backup).toEqual({ mode: 'plaintext', unusedSecret: false })
  })

  it('alerts on events that the service logs', () => {
    const code = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
      .join('\n')
    const lists = [...moduleSource.matchAll(/Record\.event in \((.*?)\)"/g)]
    const events = lists.flatMap(([, list]) => [...list!.matchAll(/\\"(\w+)\\"/g)])
    expect(events.length).toBeGreaterThan(5)
    for (const [, event] of events) expect(code).toContain(`event: '${event!}'`)
    expect(code).toContain(`'internal problem'`)
  })

  it('names no setting that the service does not have', () => {
    const known = new Set([...Object.keys(settings), 'AZURE_CLIENT_ID'])
    const used = moduleSource.match(/\bVERTEX_[A-Z_]+\b/g)!.filter((name) => name !== 'VERTEX_')
    for (const name of used) expect(known.has(name), name).toBe(true)
  })
})
