import { relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import { root } from './packages.js'

// What size-limit cannot measure, since it puts into one file what a page loads later, or never.

test('behavior: a page whose key WebCrypto keeps loads 15 kB at the most, and no curves', async () => {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    bundle: true,
    conditions: ['@machinefi/source', 'browser'],
    format: 'esm',
    metafile: true,
    minify: true,
    outdir: 'out',
    splitting: true,
    stdin: {
      contents: `export { createDevice, http } from '@machinefi/device'
        export { openWebCryptoKey } from '@machinefi/device/webcrypto'`,
      resolveDir: root,
    },
    write: false,
  })
  const loaded = new Set<string>()
  const load = (path: string) => {
    if (loaded.has(path)) return
    loaded.add(path)
    for (const { kind, path: next } of metafile.outputs[path]!.imports)
      if (kind === 'import-statement') load(next)
  }
  load('out/stdin.js')
  const inputs = [...loaded].flatMap((path) => Object.keys(metafile.outputs[path]!.inputs))
  expect(inputs.filter((path) => path.includes('@noble/curves'))).toEqual([])
  const bytes = outputFiles
    .filter(({ path }) => loaded.has(relative(root, path)))
    .reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0)
  expect(bytes).toBeLessThanOrEqual(15_000)
})
