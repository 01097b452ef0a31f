import { definePackage } from '../../tsup.config'

/** Twice: `#crypto` is WebCrypto and noble by default, OpenSSL under the `node` condition. */
export default [
  definePackage({ entry: ['src/index.ts'], dts: { entry: ['src/index.ts', 'src/node.ts'] } }),
  definePackage({
    entry: ['src/index.ts', 'src/node.ts'],
    outDir: 'dist/node',
    platform: 'node',
    dts: false,
    clean: false,
    esbuildOptions: (options) => {
      options.conditions = ['node']
    },
  }),
]
