import { defineConfig } from 'vitest/config'

const source = ['@machinefi/source']

/**
 * Two projects over the same sources: `node` resolves the OpenSSL build of
 * core, `browser` the build that browsers get (WebCrypto and noble).
 */
export default defineConfig({
  test: {
    projects: [
      {
        resolve: { conditions: [...source, 'node'] },
        ssr: { resolve: { conditions: [...source, 'node'] } },
        test: {
          name: 'node',
          include: ['packages/*/{src,test}/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 30_000,
        },
      },
      {
        resolve: { conditions: [...source, 'browser'] },
        ssr: { resolve: { conditions: [...source, 'browser'] } },
        test: {
          name: 'browser',
          include: ['packages/{core,telemetry,proof,device}/src/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**', '**/*.node.test.ts'],
          testTimeout: 60_000,
        },
      },
    ],
  },
})
