// Runs npm's forge in this package: `npm run forge -- test`. The binary sits in an optional
// platform package; no install script is needed.
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const architectures = { x64: 'amd64', arm64: 'arm64' }

/** Path of the forge binary for this machine. Throws when npm has none for it (e.g. armv7). */
export function forgePath() {
  const extension = process.platform === 'win32' ? '.exe' : ''
  const name = `@foundry-rs/forge-${process.platform}-${architectures[process.arch]}`
  const require = createRequire(
    createRequire(import.meta.url).resolve('@foundry-rs/forge/package.json'),
  )
  return require.resolve(`${name}/bin/forge${extension}`)
}

function openzeppelinPath() {
  const require = createRequire(import.meta.url)
  return dirname(dirname(require.resolve('@openzeppelin/contracts/package.json')))
}

/** Runs forge with `args`; returns its exit code. */
export function forge(args, options = {}) {
  const { env = process.env, ...rest } = options
  const result = spawnSync(forgePath(), args, {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: 'inherit',
    // Forge names a library above its root by two different paths, which solc-js cannot follow,
    // unless the remapping is absolute.
    env: { ...env, FOUNDRY_REMAPPINGS: `@openzeppelin/=${openzeppelinPath()}/` },
    ...rest,
  })
  if (result.error) throw result.error
  return result.status ?? 1
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = forge(process.argv.slice(2))
}
