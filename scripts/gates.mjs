import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { bootstrap, root } from './bootstrap.mjs'

// npm run gates               every gate, cheap ones first
// npm run gates -- knip size  the named ones
const gates = {
  /** Formatting, lint rules, import order. */
  lint: () => tool('@biomejs/biome/bin/biome', ['ci', '--error-on-warnings', '--colors=off', '.']),

  /** Files, exports and dependencies that nothing uses, and imports that nothing declares. */
  knip: () => tool('knip/bin/knip.js', ['--no-progress']),

  /** Every TypeScript file of the repository in one program. */
  types: () =>
    tool('typescript/bin/tsc', [
      '--project',
      root,
      '--incremental',
      '--tsBuildInfoFile',
      join(root, 'node_modules/.cache/machinefi/types.tsbuildinfo'),
    ]),

  /** What npm would publish: manifests, files, conditions. */
  publint: () =>
    eachPackage((folder) =>
      tool('publint/src/cli.js', ['run', folder, '--strict', '--level=suggestion', '--pack=npm']),
    ),

  /** Declarations resolve for those who install the packages. */
  attw: () =>
    eachPackage((folder) =>
      tool('@arethetypeswrong/cli/dist/index.js', [
        ...['--pack', folder, '--profile', 'esm-only'],
        ...['--format', 'ascii', '--no-color', '--no-emoji', '--no-definitely-typed'],
      ]),
    ),

  /** Bytes a browser downloads, against `.size-limit.json`. */
  size: () => tool('size-limit/bin.js', []),

  /** Committed ABIs and bytecode are what the Solidity compiles to. */
  generated: () =>
    run(process.execPath, [join(root, 'packages/contracts/scripts/generate.mjs'), '--check']),

  /** Gas of every action on what is shipped, against `packages/contracts/snapshots`. */
  gas: () =>
    run(
      process.execPath,
      [
        join(root, 'packages/contracts/scripts/forge.mjs'),
        ...['test', '--match-contract', 'GasTest'],
      ],
      { FOUNDRY_PROFILE: 'release', FORGE_SNAPSHOT_CHECK: 'true' },
    ),
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in gates))
if (unknown.length > 0) {
  process.stderr.write(
    `No gate ${unknown.join(', ')}. There are: ${Object.keys(gates).join(', ')}\n`,
  )
  process.exit(2)
}

await bootstrap({ types: true })

let passed = 0
let failed = 0
for (const [name, gate] of Object.entries(gates)) {
  if (names.length > 0 && !names.includes(name)) continue
  const start = performance.now()
  const { ok, output } = await gate()
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  process.stdout.write(`${ok ? 'pass' : 'FAIL'}  ${name.padEnd(10)} ${seconds} s\n`)
  if (ok) passed++
  else {
    failed++
    process.stdout.write(`${output.replaceAll(/^/gm, '      ')}\n`)
  }
}
process.stdout.write(`\nGates: ${passed} passed, ${failed} failed, 0 skipped\n`)
process.exitCode = failed > 0 ? 1 : 0

function tool(path, args) {
  return run(process.execPath, [join(root, 'node_modules', path), ...args])
}

async function eachPackage(check) {
  const results = []
  for (const name of readdirSync(join(root, 'packages')).sort()) {
    const folder = join(root, 'packages', name)
    if (existsSync(join(folder, 'package.json'))) results.push(await check(folder))
  }
  return {
    ok: results.every(({ ok }) => ok),
    output: results.flatMap(({ ok, output }) => (ok ? [] : [output])).join('\n'),
  }
}

function run(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk
      })
    child.once('error', reject)
    child.once('close', (code) => resolve({ ok: code === 0, output }))
  })
}
