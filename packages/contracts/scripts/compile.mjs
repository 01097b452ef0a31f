// Compiles Solidity with the npm package solc. The names that the compiler sees do not depend on
// where the checkout lies, and no hash of the sources is appended: the same sources give the same
// bytecode everywhere.
//
//   node scripts/compile.mjs solidity/crypto/test/IotexP256Precompile.sol    JSON of its contracts
import { readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import solc from 'solc'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

/** The `release` profile of foundry.toml. */
const settings = {
  evmVersion: 'prague',
  viaIR: true,
  optimizer: { enabled: true, runs: 10_000 },
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: {
    '*': {
      '*': [
        'abi',
        'evm.bytecode.object',
        'evm.bytecode.linkReferences',
        'evm.deployedBytecode.object',
      ],
    },
  },
}
/** EIP-170, EIP-3860. */
const maxRuntimeBytes = 24_576
const maxInitcodeBytes = 49_152

function readSource(name) {
  return name.startsWith('@')
    ? readFileSync(require.resolve(name), 'utf8')
    : readFileSync(join(root, name), 'utf8')
}

/** The sources and all that they import, by the name that imports resolve to, in order of names. */
function collectSources(names) {
  const sources = {}
  const pending = [...names]
  while (pending.length > 0) {
    const name = pending.pop()
    if (sources[name]) continue
    const content = readSource(name)
    sources[name] = { content }
    for (const [, path] of content.matchAll(/^\s*import\s[^;"']*["']([^"']+)["']\s*;/gm)) {
      pending.push(path.startsWith('.') ? posix.join(posix.dirname(name), path) : path)
    }
  }
  return Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * Compiles the sources (`solidity/….sol`) with all that they import. Returns, sorted by name, each
 * contract that is named after its file: { name, source, abi, bytecode, size }, hex without 0x and
 * empty for what cannot be deployed; size is that of the deployed code in bytes.
 */
export function compile(names) {
  const input = { language: 'Solidity', sources: collectSources(names), settings }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map((e) => e.formattedMessage).join('\n'))
  const contracts = []
  for (const [source, named] of Object.entries(output.contracts)) {
    const name = basename(source, '.sol')
    // Not what is imported from npm.
    if (source.startsWith('@') || !named[name]) continue
    const { abi, evm } = named[name]
    if (Object.keys(evm.bytecode.linkReferences).length > 0) {
      throw new Error(`${name} needs linking`)
    }
    const size = evm.deployedBytecode.object.length / 2
    if (size > maxRuntimeBytes)
      throw new Error(`${name} has ${size} bytes, over ${maxRuntimeBytes}`)
    const initSize = evm.bytecode.object.length / 2
    if (initSize > maxInitcodeBytes)
      throw new Error(`${name} is created from ${initSize} bytes, over ${maxInitcodeBytes}`)
    contracts.push({ name, source, abi, bytecode: evm.bytecode.object, size })
  }
  return contracts.sort((a, b) => (a.name < b.name ? -1 : 1))
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(compile(process.argv.slice(2))))
}
