import { describe, expect, test } from 'vitest'
import { readPackages } from './packages.js'

/**
 * The public surface, name by name. A changed snapshot is a changed API: it
 * goes with a changeset.
 */
describe('exports', () => {
  for (const { entries } of readPackages()) {
    for (const { specifier, source } of entries) {
      test(specifier, async () => {
        const exports: Record<string, unknown> = await import(source)
        expect(Object.keys(exports).sort()).toMatchSnapshot()
      })
    }
  }
})
