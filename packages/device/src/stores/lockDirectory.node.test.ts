import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { lockDirectory } from './lockDirectory.js'

let bundle: string
let dir: string
let children: ChildProcess[] = []
beforeAll(async () => {
  bundle = await mkdtemp(join(tmpdir(), 'machinefi-lock-'))
  await build({
    bundle: true,
    conditions: ['@machinefi/source', 'node'],
    entryPoints: [new URL('../../test/holdLock.ts', import.meta.url).pathname],
    format: 'esm',
    logLevel: 'error',
    outfile: join(bundle, 'holdLock.mjs'),
    platform: 'node',
    target: 'es2022',
  })
})
afterAll(() => rm(bundle, { recursive: true }))
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
})
afterEach(async () => {
  await Promise.all(children.map(kill))
  children = []
  await rm(dir, { recursive: true })
})

async function kill(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

function start(args: string[], prefix: string[] = []): ChildProcess {
  const [command, ...rest] = [...prefix, process.execPath, join(bundle, 'holdLock.mjs'), ...args]
  const child = spawn(command as string, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

async function say(child: ChildProcess): Promise<string> {
  const [chunk] = await once(child.stdout!, 'data')
  return String(chunk).trim()
}

const locked = { kind: 'input', name: 'StoreLockedError' }

test('default', async () => {
  const unlock = await lockDirectory(dir)
  await expect(lockDirectory(dir)).rejects.toMatchObject(locked)
  await unlock()
  expect(await readdir(dir)).toEqual(['lock.spare'])
  await (await lockDirectory(dir))()
})

test('error: in use by another process, until that is gone', async () => {
  const child = start([dir, 'hold'])
  expect(await say(child)).toBe(`held by ${child.pid}`)
  await expect(lockDirectory(dir)).rejects.toThrow(`in use by process ${child.pid}`)
  await kill(child)
  await (await lockDirectory(dir))()
  expect(await readdir(dir)).toEqual(['lock.spare'])
})

test('error: in use by a process of the same pid', async () => {
  const child = start([dir, 'hold', String(process.pid)])
  expect(await say(child)).toBe(`held by ${process.pid}`)
  await expect(lockDirectory(dir)).rejects.toMatchObject(locked)
})

test('error: in use by a process whose event loop stands still', async () => {
  const child = start([dir, 'hold'])
  await say(child)
  child.kill('SIGSTOP')
  await expect(lockDirectory(dir)).rejects.toMatchObject(locked)
})

const unshare = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child']
const canUnshare = spawnSync(unshare[0]!, [...unshare.slice(1), 'true']).status === 0

test.skipIf(!canUnshare)('behavior: containers that share a volume, both pid 1', async () => {
  const first = start([dir, 'hold'], unshare)
  expect(await say(first)).toBe('held by 1')
  expect(await say(start([dir, 'hold'], unshare))).toBe('StoreLockedError')
  await kill(first)
  const last = start([dir, 'hold'], unshare)
  expect(await say(last)).toBe('held by 1')
})

test('behavior: of many that take over from the dead, one at a time has it', async () => {
  const contend = async () => {
    for (let run = 0; run < 3; run++) {
      const [code, signal] = await once(start([dir, 'contend']), 'exit')
      expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
    }
  }
  await Promise.all([1, 2, 3, 4].map(contend))
  const unlock = await lockDirectory(dir)
  await unlock()
})

test('behavior: a path too long for a socket', async () => {
  const deep = join(dir, 'd'.repeat(120))
  await mkdir(deep)
  const child = start([deep, 'hold'])
  await say(child)
  await expect(lockDirectory(deep)).rejects.toMatchObject(locked)
  expect(await readdir(dir)).toEqual(['d'.repeat(120)])
  await kill(child)
  await (await lockDirectory(deep))()
})

test('behavior: without sockets the pid decides, and the own one is not free', async () => {
  const lock = join(dir, 'lock')
  const leave = async (pid: number | undefined) => {
    await mkdir(lock)
    await writeFile(join(lock, `${pid}-nonce`), '')
  }
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await leave(child.pid)
  await expect(lockDirectory(dir)).rejects.toThrow(`in use by process ${child.pid}`)
  await kill(child)
  await (await lockDirectory(dir))()
  await leave(process.pid)
  await expect(lockDirectory(dir)).rejects.toMatchObject(locked)
})
