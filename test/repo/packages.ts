import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Manifest = {
  name: string
  exports: Record<string, string | Record<string, string>>
  imports?: Record<string, Record<string, string>>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

export type Package = { folder: string; manifest: Manifest; entries: Entry[] }
export type Entry = { specifier: string; source: string }

/** Folder of the checkout. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** The published packages, each with the source file behind every entry point. */
export function readPackages(): Package[] {
  return readdirSync(join(root, 'packages'))
    .sort()
    .map((name) => join(root, 'packages', name))
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => {
      const manifest: Manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      const entries = Object.entries(manifest.exports).flatMap(([path, target]) => {
        const source = typeof target === 'string' ? undefined : target['@machinefi/source']
        if (source === undefined) return []
        return [{ specifier: manifest.name + path.slice(1), source: join(folder, source) }]
      })
      return { folder, manifest, entries }
    })
}
