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
    ]
  },
}

async function bundle(contents: string): Promise<number> {
  const { outputFiles } = await build({
    bundle: true,
    conditions: ['browser'],
    format: 'esm',
    minify: true,
    platform: 'browser',
    stdin: { contents, resolveDir: root },
    write: false,
  })
  return gzipSync(outputFiles[0]!.contents).length
}
