import { defineConfig, type Options } from 'tsup'

/** `js` leaves the declarations out: what runs does not need them, and they take most of the time. */
const types = process.env.MACHINEFI_BUILD !== 'js'

/** One build for every package: ESM, declarations, nothing bundled that npm can install. */
export function definePackage(options: Options) {
  return defineConfig({
    format: ['esm'],
    target: 'es2022',
    platform: 'neutral',
    dts: types,
    // What the Node half of a universal package wrote at the same time stays.
    clean: ['!node/**'],
    sourcemap: true,
    splitting: true,
    ...options,
  })
}

/**
 * A package whose `#…` imports differ in Node, built twice: `dist` for everyone,
 * `dist/node` for the `node` condition.
 *
 * @param entries.everywhere built for both.
 * @param entries.node built for Node alone.
 */
export function defineUniversalPackage(entries: { everywhere: string[]; node: string[] }) {
  const all = [...entries.everywhere, ...entries.node]
  return [
    definePackage({ entry: entries.everywhere, dts: types && { entry: all } }),
    definePackage({
      entry: all,
      outDir: 'dist/node',
      platform: 'node',
      dts: false,
      esbuildOptions: (options) => {
        options.conditions = ['node']
      },
    }),
  ]
}
