// Compiles mpc/kernel/assembly to WebAssembly and writes the binary, as text, to mpc/kernel/binary.ts.
// `--check` writes nothing and fails when the committed binary is not what the sources give.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import asc from 'assemblyscript/asc'

const here = new URL('.', import.meta.url)
const target = new URL('binary.ts', here)
const check = process.argv.includes('--check')

const options = [
  'assembly/index.ts',
  '--outFile=kernel.wasm',
  '--optimizeLevel=3',
  '--shrinkLevel=0',
  '--converge',
  '--noAssert',
  '--runtime=stub',
  '--use=abort=',
  '--enable=simd',
  // Fixed, so that views into it stay valid for ever.
  '--initialMemory=64',
  '--maximumMemory=64',
]

const committed = () => {
  try {
    return readFileSync(target, 'utf8')
  } catch {
    return ''
  }
}
const sources = readdirSync(new URL('assembly/', here), { recursive: true })
  .filter((name) => name.endsWith('.ts'))
  .sort()
const hash = createHash('sha256').update(JSON.stringify([asc.version, options]))
for (const name of sources)
  hash.update(name).update(readFileSync(new URL(`assembly/${name}`, here)))
const fingerprint = hash.digest('hex')

if (check || !committed().includes(fingerprint)) {
  const text = await compile()
  if (!check) writeFileSync(target, text)
  else if (text !== committed()) {
    console.error('mpc/kernel/binary.ts is not what mpc/kernel/assembly compiles to: npm run build')
    process.exit(1)
  }
}

async function compile() {
  let binary
  const { error, stderr } = await asc.main(options, {
    readFile: (name, base) => {
      try {
        return readFileSync(new URL(name, new URL(`${base}/`, here)), 'utf8')
      } catch {
        return null
      }
    },
    writeFile: (name, bytes) => {
      if (name.endsWith('.wasm')) binary = Buffer.from(bytes)
    },
    listFiles: () => [],
  })
  if (error !== null || binary === undefined) {
    console.error(stderr.toString())
    process.exit(1)
  }
  return [
    '// Made by `npm run build` from mpc/kernel/assembly; .ci/run compares it with a rebuild.',
    `// sources and options: ${fingerprint}`,
    '',
    '/** The kernel as WebAssembly, base64. */',
    `export const binary =\n  '${binary.toString('base64')}'`,
    '',
  ].join('\n')
}
