import { describe, expect, test } from 'vitest'
import type { QueuedBatch, Store } from '../src/index.js'

export const identity: Store.Identity = {
  network: new Uint8Array(32).fill(1),
  device: new Uint8Array(20).fill(2),
  schema: 1,
  fields: 1,
}

export const rowAt = (time: number) => ({ time, values: [time] })

export const problem = { status: 422, type: 'about:blank', title: 'No' }

export function batchOf(seq: number, length = 100): QueuedBatch {
  const id = new Uint8Array(32).fill(seq)
  return { seq, id, bytes: new Uint8Array(length).fill(seq), end: 1000 * seq }
}

const all = { maxBatches: 1000, maxBytes: 1e6 }

/** What every store must do. */
export function testStore(
  name: string,
  create: (options?: { maxBytes?: number }) => Store | Promise<Store>,
) {
  async function setup(options?: { maxBytes?: number }) {
    const store = await create(options)
    await store.open(identity)
    /** Takes `count` rows to the batch `seq`. */
    const put = async (seq: number, count = 1, length = 100) => {
      for (let i = 0; i < count; i++) await store.appendRow(rowAt(1000 * seq + i))
      await store.reserve(seq, count)
      await store.appendBatch(batchOf(seq, length))
    }
    return { put, store }
  }
  const seqsOf = async (batches: ReturnType<Store['scan']>) => (await batches).map(({ seq }) => seq)

  describe(name, () => {
    test('default', async () => {
      const { put, store } = await setup()
      await put(0, 3)
      await put(1)
      expect(await store.scan(all)).toEqual([batchOf(0), batchOf(1)])
      expect(store.size()).toEqual({ rows: 0, batches: 2, refused: 0, bytes: 200 })
      await store.remove([0])
      expect(await store.scan(all)).toEqual([batchOf(1)])
      await store.remove([1])
      expect(store.size()).toEqual({ rows: 0, batches: 0, refused: 0, bytes: 0 })
      await store.close()
    })

    test('behavior: scan is bounded, but never empty where something waits', async () => {
      const { put, store } = await setup()
      for (let seq = 0; seq < 5; seq++) await put(seq)
      expect(await seqsOf(store.scan({ maxBatches: 2, maxBytes: 1e6 }))).toEqual([0, 1])
      expect(await seqsOf(store.scan({ maxBatches: 9, maxBytes: 350 }))).toEqual([0, 1, 2])
      expect(await seqsOf(store.scan({ maxBatches: 9, maxBytes: 1 }))).toEqual([0])
      const skip = new Set([0, 2])
      expect(await seqsOf(store.scan({ maxBatches: 2, maxBytes: 1e6, skip }))).toEqual([1, 3])
      expect(await seqsOf(store.scan({ maxBatches: 9, maxBytes: 1, skip }))).toEqual([1])
      await store.close()
    })

    test('behavior: rows that come while a batch is signed belong to the next', async () => {
      const { store } = await setup()
      for (const time of [1, 2, 3]) await store.appendRow(rowAt(time))
      await store.reserve(0, 2)
      await store.appendRow(rowAt(4))
      await store.appendBatch(batchOf(0))
      expect(store.size()).toMatchObject({ rows: 2, batches: 1 })
      await store.reserve(1, 2)
      await store.appendBatch(batchOf(1))
      expect(store.size()).toMatchObject({ rows: 0, batches: 2, bytes: 200 })
      await store.close()
    })

    test('behavior: refused, tried again, given up', async () => {
      const { put, store } = await setup()
      for (let seq = 0; seq < 3; seq++) await put(seq)
      await store.refuse(1, problem)
      expect(await seqsOf(store.scan(all))).toEqual([0, 2])
      expect(await store.refused()).toEqual([{ ...batchOf(1), problem }])
      expect(store.size()).toEqual({ rows: 0, batches: 2, refused: 1, bytes: 300 })
      await store.requeue([1])
      expect((await seqsOf(store.scan(all))).toSorted()).toEqual([0, 1, 2])
      expect(await store.scan(all)).toContainEqual(batchOf(1))
      await store.refuse(0, problem)
      await store.remove([0])
      expect(await store.refused()).toEqual([])
      expect(store.size()).toMatchObject({ batches: 2, bytes: 200 })
      await store.close()
    })

    test('error: full, until something is delivered', async () => {
      const { put, store } = await setup({ maxBytes: 300 })
      await put(0, 1, 290)
      const full = { kind: 'transport', name: 'StoreFullError' }
      await expect((async () => store.appendRow(rowAt(9)))()).rejects.toMatchObject(full)
      expect(store.size()).toMatchObject({ rows: 0, bytes: 290 })
      await store.remove([0])
      await store.appendRow(rowAt(9))
      expect(store.size()).toMatchObject({ rows: 1 })
      await store.close()
    })
  })
}
