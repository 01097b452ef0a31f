import { existsSync } from 'node:fs'

/**
 * What a test of real parts needs and does not find here, as the title of the tests that are
 * skipped for it says; `undefined` where all is there. In CI nothing is skipped.
 */
export function findMissing(files: Record<string, string>): string | undefined {
  if (process.env.CI) return undefined
  const missing = Object.entries(files).flatMap(([path, name]) => (existsSync(path) ? [] : [name]))
  return missing.length === 0 ? undefined : `needs ${missing.join(' and ')}`
}

/** Compiled by `npm rebuild pkcs11js`, since no install here runs scripts. */
export const pkcs11js = {
  [new URL('../../../node_modules/pkcs11js/build/Release/pkcs11.node', import.meta.url).pathname]:
    'pkcs11js (npm rebuild pkcs11js)',
}
