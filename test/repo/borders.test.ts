import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { type Manifest, readPackages, root } from './packages.js'

/** What each package may import: packages of its own kind, and others (where not named: what it declares). */
const borders: Record<string, { own: string[]; others?: string[] }> = {
  '@machinefi/core': { own: [], others: ['@noble/curves', '@noble/hashes'] },
  '@machinefi/telemetry': { own: ['core'], others: ['cbor-x'] },
  '@machinefi/proof': { own: ['core', 'telemetry'], others: [] },
  '@machinefi/device': {
    own: ['core', 'telemetry', 'proof'],
    // Beside the curves optional peers, each under a subpath of its own.
    others: ['@noble/curves', 'coap', 'mqtt', 'pkcs11js', 'serialport'],
  },
  '@machinefi/contracts': { own: ['core'], others: ['viem'] },
  '@machinefi/stream': { own: ['core', 'telemetry', 'proof', 'device', 'contracts'] },
  machinefi: { own: ['core', 'telemetry', 'proof', 'device', 'contracts', 'stream'] },
}

/** Entries that browsers load: no Node module is reachable from them. */
const universal = [
  '@machinefi/core',
  '@machinefi/telemetry',
  '@machinefi/telemetry/cose',
  '@machinefi/telemetry/senml',
  '@machinefi/telemetry/pebble',
  '@machinefi/proof',
  '@machinefi/device',
  '@machinefi/device/webcrypto',
  '@machinefi/contracts',
  '@machinefi/contracts/abis',
  '@machinefi/contracts/bytecode',
  '@machinefi/contracts/ioid',
]

/** What a subpath of the device asks for is not asked for by its main entry. */
const optional = ['coap', 'mqtt', 'pkcs11js', 'serialport']

/** The general CBOR codec stays off the batch path. */
const withCbor = ['@machinefi/telemetry/cose', '@machinefi/telemetry/senml']

const packages = readPackages()

test('behavior: every package has a border', () => {
  expect(packages.map(({ manifest }) => manifest.name).sort()).toEqual(Object.keys(borders).sort())
})

describe.each(packages)('$manifest.name', ({ folder, manifest, entries }) => {
  const { own, others } = borders[manifest.name] ?? { own: [] }
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
  const allowed = [
    ...own.map((name) => `@machinefi/${name}`),
    ...(others ?? declared.filter((name) => !name.startsWith('@machinefi/'))),
  ]

  test('behavior: imports only what lies below it', () => {
    const violations = sourceFiles(folder).flatMap((file) =>
      importsOf(file)
        .filter((specifier) => {
          if (specifier.startsWith('.'))
            return relative(folder, join(dirname(file), specifier)).startsWith('..')
          return (
            !specifier.startsWith('node:') &&
            !specifier.startsWith('#') &&
            !allowed.includes(packageOf(specifier))
          )
        })
        .map((specifier) => `${relative(root, file)} imports ${specifier}`),
    )
    expect(violations).toEqual([])
  })

  test('behavior: declares what it imports', () => {
    const imported = sourceFiles(folder)
      .flatMap((file) => importsOf(file))
      .filter((specifier) => !/^(\.|#|node:)/.test(specifier))
      .map(packageOf)
    expect([...new Set(imported)].filter((name) => !declared.includes(name))).toEqual([])
  })

  test.each(entries.filter(({ specifier }) => universal.includes(specifier)))(
    'behavior: $specifier runs without Node',
    ({ source }) => {
      expect(
        reachable(source, folder, manifest).filter(
          (name) => name.startsWith('node:') || optional.includes(name),
        ),
      ).toEqual([])
    },
  )

  test.each(
    entries.filter(
      ({ specifier }) => universal.includes(specifier) && !withCbor.includes(specifier),
    ),
  )('behavior: $specifier leaves the general CBOR codec out', ({ source }) => {
    expect(reachable(source, folder, manifest)).not.toContain('cbor-x')
  })
})

test('behavior: nothing below contracts needs an install script', () => {
  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  )
  // A dependency's own optional parts only make it faster: they may fail to install.
  const visit = (path: string, seen: Set<string>) => {
    if (seen.has(path)) return seen
    seen.add(path)
    for (const name of Object.keys(lock.packages[path]?.dependencies ?? {}))
      visit(resolveLocked(lock.packages, path, name), seen)
    return seen
  }
  const withScript = ['core', 'telemetry', 'proof', 'device'].flatMap((name) =>
    [...visit(`packages/${name}`, new Set())].filter(
      (path) => lock.packages[path]?.hasInstallScript,
    ),
  )
  expect(withScript).toEqual([])
})

type LockedPackage = {
  dependencies?: Record<string, string>
  hasInstallScript?: boolean
  link?: boolean
  resolved?: string
}

function resolveLocked(locked: Record<string, LockedPackage>, from: string, name: string): string {
  for (let folder = from; ; folder = folder.slice(0, Math.max(folder.lastIndexOf('/'), 0))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    const found = locked[path]
    if (found) return found.link ? (found.resolved ?? path) : path
    if (folder === '') throw new Error(`${name}, needed by ${from}, is not in package-lock.json`)
  }
}

/** Everything outside the package that an entry needs, by the conditions of a browser: modules, and globals of Node. */
function reachable(source: string, folder: string, manifest: Manifest): string[] {
  const outside = new Set<string>()
  const seen = new Set<string>()
  const visit = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    for (const name of nodeGlobalsOf(file)) outside.add(`node:${name}`)
    for (const specifier of importsOf(file, { types: false })) {
      if (specifier.startsWith('#')) {
        const target = manifest.imports?.[specifier]
        visit(join(folder, target?.browser ?? target?.default ?? ''))
      } else if (specifier.startsWith('.'))
        visit(join(dirname(file), specifier.replace(/\.js$/, '.ts')))
      else {
        outside.add(specifier)
        const entry = packages
          .flatMap(({ entries, ...owner }) => entries.map((entry) => ({ ...entry, ...owner })))
          .find((entry) => entry.specifier === specifier)
        if (entry)
          for (const name of reachable(entry.source, entry.folder, entry.manifest))
            outside.add(name)
      }
    }
  }
  visit(source)
  return [...outside]
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function sourceFiles(folder: string): string[] {
  const src = join(folder, 'src')
  if (!existsSync(src)) return []
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => join(src, file))
}

/** What a file imports, and which globals it names that only Node has: read once. */
const scanned = new Map<string, { imports: string[]; values: string[]; globals: string[] }>()

function importsOf(file: string, { types = true } = {}): string[] {
  const { imports, values } = scan(file)
  return types ? imports : values
}

function nodeGlobalsOf(file: string): string[] {
  return scan(file).globals
}

function scan(file: string) {
  const known = scanned.get(file)
  if (known) return known
  const found = { imports: [] as string[], values: [] as string[], globals: [] as string[] }
  scanned.set(file, found)
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return
    found.imports.push(specifier.text)
    if (!typeOnly) found.values.push(specifier.text)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false)
    else if (
      ts.isIdentifier(node) &&
      ['Buffer', 'process', 'require', 'setImmediate'].includes(node.text) &&
      !('name' in node.parent && node.parent.name === node)
    )
      found.globals.push(node.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true))
  return found
}
