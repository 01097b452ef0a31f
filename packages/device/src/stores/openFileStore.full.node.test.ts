import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'

const [command, ...unshare] = [
  'unshare',
  '--user',
  '--map-root-user',
  '--mount',
  'sh',
  '-c',
] as const
const mount = 'mount -t tmpfs -o size=3m tmpfs'
/** A file system of three megabytes, which is gone with the process that made it. */
const canMount = spawnSync(command, [...unshare, `${mount} /mnt`]).status === 0
const title = canMount ? '' : ' (there is no unshare that may mount here)'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-full-'))
  await mkdir(join(dir, 'disk'))
  await build({
    bundle: true,
    conditions: ['@machinefi/source', 'node'],
    entryPoints: [new URL('../../test/runFullDisk.ts', import.meta.url).pathname],
    format: 'esm',
    logLevel: 'error',
    outfile: join(dir, 'runFullDisk.mjs'),
    platform: 'node',
    target: 'es2022',
  })
})
afterAll(() => rm(dir, { recursive: true }))

test.skipIf(!canMount)(
  `behavior: opened on a disk that is full, it delivers and so makes room${title}`,
  () => {
    const [disk, run] = [
      join(dir, 'disk'),
      `'${process.execPath}' '${join(dir, 'runFullDisk.mjs')}'`,
    ]
    const script = `${mount} '${disk}' && { ${run} '${disk}' prepare; ${run} '${disk}' open; }`
    const { status, stderr, stdout } = spawnSync(command, [...unshare, script], {
      encoding: 'utf8',
      timeout: 50_000,
    })
    expect({ status, stderr: stderr.replace(/^Killed\n/, '') }).toEqual({ status: 0, stderr: '' })
    const all = JSON.parse(stdout)
    const full = { cause: 'ENOSPC', name: 'StoreFailedError' }

    // What was there is there, and refused is what is new: but for the rest of a page.
    expect(all.refused).toMatchObject({
      ...full,
      shortMessage: `The disk is full: ${join(disk, 'outbox')}`,
    })
    expect(all.refused.taken).toBeLessThan(500)
    expect(all.waiting.readings).toBe(20_000 + all.refused.taken)

    // All of it was delivered, and some that was kept for another node gave way.
    expect(all.delivered).toMatchObject({ batches: 0, dropped: 0, readings: 0, refused: 0 })
    expect(all.delivered.kept).toBeGreaterThan(100)
    expect(all.delivered.kept).toBeLessThan(all.waiting.batches - 100)

    // Nobody opened it anew, or gave the disk any room.
    expect(all.later).toEqual({ taken: 10_000 })
    expect(all.readings).toBe(30_000 + all.refused.taken)
    const seqs = [...all.seqs].sort((a, b) => a - b)
    expect(seqs).toEqual(seqs.map((_, i) => i))

    // A new one refuses too, until there is room.
    expect(all.none).toMatchObject({ ...full, taken: 0 })
    expect(all.some).toEqual({ taken: 10 })
  },
  60_000,
)
