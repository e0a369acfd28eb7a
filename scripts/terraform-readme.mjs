// Writes the tables of inputs and outputs in terraform/README.md from variables.tf and outputs.tf. With --check it
// writes nothing and fails when the tables are not what they should be.
import { readFileSync, writeFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'

const folder = new URL('../terraform/', import.meta.url)
const read = (name) => readFileSync(new URL(name, folder), 'utf8')

/** The blocks of a formatted file, each with the source of its attributes. Enough of HCL for these two files. */
function blocks(kind, source) {
  const found = [...source.matchAll(new RegExp(`^${kind} "(\\w+)" \\{\\n([^]*?)^\\}`, 'gm'))]
  return found.map(([, name, body]) => {
    const attributes = {}
    const lines = body.split('\n')
    for (let at = 0; at < lines.length; at++) {
      const [, attribute, first] = /^ {2}(\w+) += (.*)$/.exec(lines[at]) ?? []
      if (attribute === undefined) continue
      const value = [first]
      // What belongs to the value is indented further, up to the line that closes it.
      while (at + 1 < lines.length && /^( {3,}\S| {2}[\])}]|$)/.test(lines[at + 1]))
        if (lines[++at] !== '') value.push(lines[at])
      attributes[attribute] = value
    }
    return { name, ...attributes }
  })
}

const oneLine = (value) => value.map((line) => line.trim()).join(' ')
const code = (value) => `\`${oneLine(value).replaceAll('|', '\\|')}\``

function text(value) {
  const heredoc = value[0].startsWith('<<-')
  const words = heredoc
    ? value
        .slice(1, -1)
        .map((line) => line.trim())
        .join('<br>')
    : JSON.parse(value[0])
  return words.replaceAll('|', '\\|')
}

function inputs() {
  const all = blocks('variable', read('variables.tf'))
  const row = ({ name, type, description, default: given }) =>
    `| \`${name}\` | ${text(description)} | ${code(type)} | ${given === undefined ? 'required' : code(given)} |`
  return ['| Name | What it is | Type | Default |', '| --- | --- | --- | --- |', ...all.map(row)]
}

function outputs() {
  const all = blocks('output', read('outputs.tf'))
  const row = ({ name, description }) => `| \`${name}\` | ${text(description)} |`
  return ['| Name | What it is |', '| --- | --- |', ...all.map(row)]
}

const fill = (readme, part, rows) => {
  const [begin, end] = [`<!-- ${part} -->`, `<!-- /${part} -->`]
  const [before, rest] = readme.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`terraform/README.md has no ${begin} … ${end}`)
  return `${before}${begin}\n\n${rows.join('\n')}\n\n${end}${after}`
}

const path = new URL('README.md', folder)
const present = read('README.md')
const filled = fill(fill(present, 'inputs', inputs()), 'outputs', outputs())
const wanted = await format(filled, { ...(await resolveConfig(path)), parser: 'markdown' })
if (wanted === present) process.exit(0)
if (process.argv.includes('--check')) {
  console.error('terraform/README.md is not what variables.tf and outputs.tf say.')
  console.error('Run: node scripts/terraform-readme.mjs')
  process.exit(1)
}
writeFileSync(path, wanted)
