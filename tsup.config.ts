import { defineConfig, type Options } from 'tsup'

/** One build for every package: ESM, declarations, nothing bundled that npm can install. */
export function definePackage(options: Options) {
  return defineConfig({
    format: ['esm'],
    target: 'es2022',
    platform: 'neutral',
    dts: true,
    clean: true,
    sourcemap: true,
    splitting: true,
    ...options,
  })
}
