import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

test('behavior: the main entry never loads cbor-x', () => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const visit = (file: URL) => {
    if (seen.has(file.href)) return
    seen.add(file.href)
    for (const [, from] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g))
      if (from!.startsWith('.')) visit(new URL(from!.replace(/\.js$/, '.ts'), file))
      else packages.add(from!)
  }
  visit(new URL('./index.ts', import.meta.url))
  expect([...packages]).toEqual(['@machinefi/core'])
  expect(seen.size).toBeGreaterThan(10)
})
