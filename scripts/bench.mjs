import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, root } from './bootstrap.mjs'

await bootstrap()

const { build } = await import('esbuild')
const bench = join(root, 'test/bench')
const outdir = join(root, 'node_modules/.cache/machinefi/bench')

// Only the benchmark itself is compiled, and what it runs that no package exports: the rest of
// what it measures are the built packages. Next to the runner, each process that it starts.
await build({
  entryPoints: [
    join(bench, 'run.ts'),
    ...readdirSync(join(bench, 'processes')).map((name) => join(bench, 'processes', name)),
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
