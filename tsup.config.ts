import { defineConfig, type Options } from 'tsup'

/** `js` leaves the declarations out: what runs does not need them, and they take most of the time. */
const withTypes = process.env.MACHINEFI_BUILD !== 'js'

type Entry = string[] | Record<string, string>

/**
 * One build for every package: ESM, declarations, nothing bundled that npm can install.
 *
 * @param options.entry of which declarations are built too, but for a command.
 */
export function definePackage({ entry, ...options }: Options & { entry: Entry }) {
  const types = Array.isArray(entry) ? entry.filter((path) => !path.endsWith('/bin.ts')) : entry
  return defineConfig({
    entry,
    format: ['esm'],
    target: 'es2022',
    platform: 'neutral',
    dts: withTypes && Object.keys(types).length > 0 && { entry: types },
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
    definePackage({ entry: entries.everywhere, dts: withTypes && { entry: all } }),
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
