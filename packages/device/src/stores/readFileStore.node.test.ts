import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { batchOf, identity, problem, rowAt } from '../../test/testStore.js'
import { openFileStore, readFileStore } from '../node.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
})
afterEach(() => rm(dir, { recursive: true }))

test('default', async () => {
  const store = openFileStore(dir)
  await store.open(identity)
  expect(await readFileStore(dir)).toMatchObject({ nextSeq: undefined, lastTime: undefined })
  for (let seq = 0; seq < 4; seq++) {
    await Promise.all([1, 2].map((i) => store.appendRow(rowAt(10 * seq + i))))
    await store.reserve(seq, 2)
    await store.appendBatch(batchOf(seq))
  }
  await store.deliver([0])
  await store.refuse(1, problem)
  await store.appendRow(rowAt(99))
  expect(await readFileStore(dir)).toMatchObject({
    device: `did:io:0x${'02'.repeat(20)}`,
    network: `0x${'01'.repeat(32)}`,
    schema: 1,
    nextSeq: 4,
    lastTime: 99,
    ...store.size(),
  })
  await store.close()
})

test('behavior: while segments come and go', async () => {
  const store = openFileStore(dir, { keepDeliveredBytes: 0, segmentBytes: 300 })
  await store.open(identity)
  let writing = true
  const written = (async () => {
    for (let seq = 0; seq < 200; seq++) {
      await store.appendRow(rowAt(seq))
      await store.reserve(seq, 1)
      await store.appendBatch(batchOf(seq))
      if (seq > 0) await store.deliver([seq - 1])
    }
    writing = false
  })()
  let reads = 0
  for (let before = 0; writing; reads++) {
    const { batches, nextSeq = 0, rows } = await readFileStore(dir)
    expect(nextSeq).toBeGreaterThanOrEqual(before)
    expect(batches + rows).toBeLessThanOrEqual(3)
    before = nextSeq
  }
  await written
  expect(reads).toBeGreaterThan(5)
  await store.close()
  expect(await readFileStore(dir)).toMatchObject({ batches: 1, nextSeq: 200 })
})

test('error: no store', async () => {
  const missing = { kind: 'input', name: 'StoreMissingError' }
  await expect(readFileStore(dir)).rejects.toMatchObject(missing)
  await expect(readFileStore(join(dir, 'absent'))).rejects.toMatchObject(missing)
  // Not made by asking.
  expect(await readdir(dir)).toEqual([])
})
