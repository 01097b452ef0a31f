import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { bootstrap, root } from '../scripts/bootstrap.mjs'

// npm start in an example: installs and builds what is missing, and runs its src/main.ts.
// It uses the node that answers at MACHINEFI_NODE or at the port of `machinefi dev`. If there is
// none, it starts chain and node of its own, with short windows, for as long as it runs.
const [name, ...args] = process.argv.slice(2)
const say = (line) => process.stderr.write(`${line}\n`)
const children = []

await bootstrap()
if (!(await isAnswering(process.env.MACHINEFI_NODE ?? 'http://127.0.0.1:4270'))) {
  await startDevnet()
  // These two show what devices did.
  if (['auditor', 'dapp-rewards'].includes(name)) startBeside('step-counter')
}

const { build } = await import('esbuild')
const folder = join(root, 'examples', name)
const outfile = join(folder, 'dist/main.js')
const entryPoints = [join(folder, 'src/main.ts')]
await build({
  ...{ bundle: true, packages: 'external', platform: 'node' },
  ...{ entryPoints, format: 'esm', outfile, sourcemap: 'inline', target: 'node20' },
})
process.setSourceMapsEnabled(true)
process.argv = [process.execPath, outfile, ...args]
await import(pathToFileURL(outfile).href)
for (const child of children.reverse()) if (child.kill()) await once(child, 'exit')

async function isAnswering(url) {
  try {
    await fetch(`${url}/health`)
    return true
  } catch {
    if (!process.env.MACHINEFI_NODE) return false
    say(`No node answers at ${url}.`)
    process.exit(1)
  }
}

async function startDevnet() {
  say('No node is running here: starting one, with windows of 20 seconds …')
  const manifest = JSON.parse(readFileSync(join(root, 'examples', name, 'package.json'), 'utf8'))
  const options = ['--port', '0', '--rpc-port', '0', '--window', '20s', '--challenge', '5s']
  options.push(...(manifest.config?.dev ?? []))
  const dev = start(join(root, 'packages/cli/dist/bin.js'), ['dev', '--json', ...options], 'pipe')
  const [line] = await Promise.race([once(createInterface(dev.stdout), 'line'), once(dev, 'exit')])
  if (typeof line !== 'string') process.exit(1)
  const { node, rpc } = JSON.parse(line)
  Object.assign(process.env, { MACHINEFI_NODE: node, MACHINEFI_RPC: rpc })
}

function startBeside(example) {
  say(`and the example ${example} as its device.`)
  const script = join(root, 'examples/start.mjs')
  start(script, [example], 'ignore', { cwd: join(root, 'examples', example) })
}

/** A process that ends with this one. Ctrl-C does not reach it: what runs here ends first. */
function start(script, args, stdout, options = {}) {
  const stdio = ['ignore', stdout, 'inherit']
  const child = spawn(process.execPath, [script, ...args], { detached: true, stdio, ...options })
  process.once('exit', () => child.kill())
  children.push(child)
  return child
}
