import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, root } from './bootstrap.mjs'

await bootstrap()

const { build } = await import('esbuild')
const source = join(root, 'test/bench')
const outdir = join(root, 'node_modules/.cache/machinefi/bench')
const processes = readdirSync(join(source, 'processes')).filter((name) => name.endsWith('.ts'))

rmSync(outdir, { recursive: true, force: true })
// Only the benchmark itself is compiled: what it measures are the built packages.
await build({
  entryPoints: [
    join(source, 'run.ts'),
    ...processes.map((name) => join(source, 'processes', name)),
  ],
  outdir,
  entryNames: '[name]',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
})
await import(pathToFileURL(join(outdir, 'run.mjs')).href)
