import { relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { type Benchmark, limit } from './Benchmark.js'
import { root } from './build.js'

/** What a browser loads: minified, gzip. */
export const size: Benchmark = {
  name: 'size',
  async run() {
    const device = await bundle(
      `export { createDevice, createSoftwareSigner, http } from '@machinefi/device'`,
    )
    const webCrypto = await bundle(
      `export { createDevice, http } from '@machinefi/device'; export { openWebCryptoKey } from '@machinefi/device/webcrypto'`,
    )
    const noble = await bundle(
      `export { p256 } from '@noble/curves/nist.js'; export { secp256k1 } from '@noble/curves/secp256k1.js'; export { sha256 } from '@noble/hashes/sha2.js'`,
    )
    return [
      limit({
        against: '@noble: both curves and SHA-256 alone',
        baseline: noble / 1000,
        budget: 32,
        name: '@machinefi/device in a browser, software signer and HTTP',
        unit: 'kB gzip',
        value: device / 1000,
      }),
      limit({
        against: '@noble: both curves and SHA-256 alone',
        baseline: noble / 1000,
        budget: 15,
        name: '@machinefi/device in a browser, WebCrypto signer and HTTP',
        unit: 'kB gzip',
        value: webCrypto / 1000,
      }),
    ]
  },
}

/** The entry and every file that it loads at once; what it may load later, where something is missing, is left out. */
async function bundle(contents: string): Promise<number> {
  const { metafile, outputFiles } = await build({
    bundle: true,
    conditions: ['browser'],
    format: 'esm',
    metafile: true,
    minify: true,
    outdir: root,
    platform: 'browser',
    splitting: true,
    stdin: { contents, resolveDir: root },
    write: false,
  })
  const loaded = new Set<string>()
  const load = (path: string) => {
    if (loaded.has(path)) return
    loaded.add(path)
    for (const { kind, path: next } of metafile.outputs[path]!.imports)
      if (kind === 'import-statement') load(next)
  }
  load(Object.keys(metafile.outputs).find((path) => metafile.outputs[path]!.entryPoint)!)
  return outputFiles
    .filter(({ path }) => loaded.has(relative(process.cwd(), path)))
    .reduce((total, { contents }) => total + gzipSync(contents).length, 0)
}
