import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, root } from './bootstrap.mjs'

await bootstrap()

const { build } = await import('esbuild')
const entry = join(root, 'test/bench/run.ts')
const outfile = join(root, 'node_modules/.cache/machinefi/bench.mjs')

// Only the benchmark itself is compiled: what it measures are the built packages.
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
  define: { 'import.meta.url': JSON.stringify(pathToFileURL(entry).href) },
})
await import(pathToFileURL(outfile).href)
