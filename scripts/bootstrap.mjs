import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Folder of the checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const minimumNode = [20, 19]
const lockPath = join(root, '.bootstrap.lock')
const stampPath = join(root, 'node_modules/.cache/machinefi/bootstrap.json')

/**
 * Installs and builds what is missing or stale, and nothing else. Every word
 * goes to stderr: stdout belongs to whatever runs next. Ends the process with
 * an explanation when it cannot.
 *
 * @param options.types build the declarations as well: nothing that runs needs
 * them, and they take most of the time.
 */
export async function bootstrap({ types = false } = {}) {
  assertNode()
  if (isInstalled() && isBuilt(types)) return
  await lock()
  try {
    if (!isInstalled()) install()
    if (!isBuilt(types)) build(types)
    mkdirSync(dirname(stampPath), { recursive: true })
    writeFileSync(
      stampPath,
      JSON.stringify({ lockfile: lockfileHash(), sources: sourcesHash(), types }),
    )
  } finally {
    rmSync(lockPath, { force: true })
  }
}

function assertNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [needMajor, needMinor] = minimumNode
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return
  fail(
    `Node.js ${minimumNode.join('.')} or newer is needed, this is ${process.versions.node}.`,
    'Install a current one from https://nodejs.org or with your version manager.',
  )
}

/** npm rewrites `node_modules/.package-lock.json` at the end of every install. */
function isInstalled() {
  const installed = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installed)) return false
  if (statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs) return true
  return readStamp().lockfile === lockfileHash()
}

function isBuilt(types) {
  const stamp = readStamp()
  if (stamp.sources !== sourcesHash() || (types && !stamp.types)) return false
  return packages().every(({ folder, manifest }) =>
    outputs(manifest)
      .filter((path) => types || !path.endsWith('.d.ts'))
      .every((path) => existsSync(join(folder, path))),
  )
}

function install() {
  const clean = !existsSync(join(root, 'node_modules'))
  say('Installing dependencies…')
  // No dependency needs its install script, and NODE_ENV must not drop the build tools.
  const flags = ['--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  // An existing folder is brought up to date in place: `npm ci` would empty it first.
  if (npm(clean ? ['ci', ...flags] : ['install', '--no-save', ...flags])) return
  if (npm(['install', '--no-save', ...flags])) return
  fail(
    'Dependencies could not be installed.',
    'The lines above are npm’s; is the registry reachable?',
  )
}

function build(types) {
  say('Building packages…')
  const turbo = join(root, 'node_modules/turbo/bin/turbo')
  const args = ['run', 'build', '--output-logs=errors-only', '--no-update-notifier', '--ui=stream']
  const env = { TURBO_TELEMETRY_DISABLED: '1', MACHINEFI_BUILD: types ? undefined : 'js' }
  if (run(process.execPath, [turbo, ...args], { env, quiet: true })) return
  fail('The packages could not be built.', 'Run `npx turbo run build` for the whole output.')
}

/** One bootstrap at a time; a lock whose process is gone is taken over. */
async function lock() {
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(lockPath, String(process.pid), { flag: 'wx' })
      process.once('exit', () => rmSync(lockPath, { force: true }))
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = readLock()
    if (owner && !isRunning(owner)) {
      rmSync(lockPath, { force: true })
      continue
    }
    if (attempt === 0) say(`Waiting for another install or build (process ${owner ?? 'unknown'})…`)
    await sleep(250)
  }
}

function readLock() {
  try {
    const { mtimeMs } = statSync(lockPath)
    const pid = Number(readFileSync(lockPath, 'utf8'))
    // Empty for the instant between creating and writing; for longer, its writer died there.
    if (pid > 0) return pid
    return Date.now() - mtimeMs > 10_000 ? Number.MAX_SAFE_INTEGER : undefined
  } catch {
    return undefined
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampPath, 'utf8'))
  } catch {
    return {}
  }
}

function lockfileHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

/** Sizes and times of everything a build reads: cheap, and turbo looks at contents afterwards. */
function sourcesHash() {
  const hash = createHash('sha256')
  const add = (path) => {
    const stats = statSync(path, { throwIfNoEntry: false })
    hash.update(`${path} ${stats?.size} ${stats?.mtimeMs}\n`)
  }
  for (const file of ['package-lock.json', 'tsup.config.ts', 'tsconfig.json', 'turbo.json'])
    add(join(root, file))
  for (const { folder } of packages()) {
    add(join(folder, 'package.json'))
    add(join(folder, 'tsup.config.ts'))
    const src = join(folder, 'src')
    if (!existsSync(src)) continue
    for (const file of readdirSync(src, { recursive: true }).sort())
      if (/\.(ts|json)$/.test(file) && !file.endsWith('.test.ts')) add(join(src, file))
  }
  return hash.digest('hex')
}

function packages() {
  return readdirSync(join(root, 'packages'))
    .map((name) => join(root, 'packages', name))
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => ({
      folder,
      manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
    }))
}

/** Every built file that a manifest points at. */
function outputs(manifest) {
  const paths = Object.values(manifest.bin ?? {})
  const collect = (node) => {
    if (typeof node === 'string') paths.push(node)
    else for (const child of Object.values(node ?? {})) collect(child)
  }
  collect(manifest.exports)
  return paths.filter((path) => path.startsWith('./dist/'))
}

function npm(args) {
  // Under `npm run` this is the npm in use; it needs no shell on any platform.
  const script = process.env.npm_execpath
  if (script?.endsWith('npm-cli.js')) return run(process.execPath, [script, ...args])
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args)
}

/** @param options.quiet show what the command says only if it fails. */
function run(command, args, { env = {}, quiet = false } = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 28,
    stdio: ['ignore', quiet ? 'pipe' : 2, quiet ? 'pipe' : 2],
  })
  if (error) say(error.message)
  if (quiet && status !== 0) process.stderr.write(Buffer.concat([stdout, stderr]))
  if (signal) process.exit(130)
  return status === 0
}

function say(line) {
  process.stderr.write(`${line}\n`)
}

function fail(...lines) {
  for (const line of lines) say(line)
  process.exit(1)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await bootstrap()
