import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { batchOf, identity, rowAt } from '../../test/testStore.js'
import { openFileStore } from '../node.js'

/** Whether the disk refuses to make the names in a directory durable. */
const disk = vi.hoisted(() => ({ refuses: false }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const open: typeof real.open = async (path, flags, mode) => {
    if (disk.refuses && flags === 'r') throw new Error('EIO')
    return real.open(path, flags, mode)
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
