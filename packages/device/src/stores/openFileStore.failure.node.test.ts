import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { batchOf, identity, rowAt } from '../../test/testStore.js'
import { createKeyFile, openFileStore } from '../node.js'

/**
 * Whether the disk refuses to make the names in a directory durable, and what
 * happens when it has done so.
 */
const disk = vi.hoisted(() => ({ refuses: false, done: undefined as (() => void) | undefined }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const open: typeof real.open = async (path, flags, mode) => {
    if (disk.refuses && flags === 'r') throw new Error('EIO')
    const file = await real.open(path, flags, mode)
    const close = file.close.bind(file)
    if (flags === 'r') file.close = () => close().then(() => void disk.done?.())
    return file
  }
  return { ...real, open }
})

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
})
afterEach(() => rm(dir, { recursive: true }))

test('behavior: nothing is written to a journal that was replaced', async () => {
  const store = openFileStore(dir)
  await store.open(identity)
  await store.appendRow(rowAt(0))
  await store.reserve(4, 1)
  await store.appendBatch(batchOf(4, 2_000_000))
  disk.refuses = true
  await expect(store.remove([4])).rejects.toMatchObject({ name: 'StoreFailedError' })
  disk.refuses = false
  await store.appendRow(rowAt(1))
  await store.close()
  const again = openFileStore(dir)
  expect(await again.open(identity)).toMatchObject({ nextSeq: 5, rows: [rowAt(1)] })
  await again.close()
})

test('behavior: rows that waited for a rewrite stay before those that did not', async () => {
  const store = openFileStore(dir)
  await store.open(identity)
  await store.appendRow(rowAt(0))
  await store.reserve(4, 1)
  await store.appendBatch(batchOf(4, 2_000_000))
  let time = 1
  const rows: (void | Promise<void>)[] = []
  const append = () => rows.push(store.appendRow(rowAt(time++)))
  const appended = new Promise<void>((resolve) => {
    // A row in each of the turns in which the rewrite ends.
    disk.done = async () => {
      disk.done = undefined
      for (let turn = 0; turn < 30; turn++) {
        append()
        await null
      }
      resolve()
    }
  })
  const removed = store.remove([4])
  await vi.waitFor(() => expect(disk.done).toBeUndefined(), { interval: 0 })
  await Promise.all([removed, appended])
  await Promise.all(rows)
  await store.close()
  const again = openFileStore(dir)
  const times = (await again.open(identity)).rows.map((row) => row.time)
  expect(times).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
  await again.close()
})

test('error: a key whose name may not survive is no key', async () => {
  disk.refuses = true
  const path = join(dir, 'device.key')
  const failure = { name: 'KeyFileError', reason: 'unwritable' }
  await expect(createKeyFile(path)).rejects.toMatchObject(failure)
  disk.refuses = false
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
})
