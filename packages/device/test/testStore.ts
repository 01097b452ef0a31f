import { describe, expect, test } from 'vitest'
import type { DroppedBatch, QueuedBatch, Store } from '../src/index.js'

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

/** What a store says of nothing. */
export const emptySize: Store.Size = {
  rows: 0,
  batches: 0,
  readings: 0,
  bytes: 0,
  refused: 0,
  kept: 0,
  keptBytes: 0,
  dropped: 0,
  oldest: undefined,
}

type Options = {
  maxBytes?: number
  whenFull?: Store.WhenFull
  keepDeliveredBytes?: number
  keepDeliveredMs?: number
}

/** What every store must do; those that forget at once what was delivered do not keep it. */
export function testStore(
  name: string,
  create: (options?: Options) => Store | Promise<Store>,
  { keeps = true } = {},
) {
  const testKept = (title: string, body: () => Promise<void>) => {
    if (keeps) test(title, body)
  }

  async function setup(options?: Options) {
    const store = await create(options)
    const dropped: DroppedBatch[] = []
    await store.open(identity, { onDropped: (batches) => dropped.push(...batches) })
    /** Takes `count` rows to the batch `seq`. */
    const put = async (seq: number, count = 1, length = 100) => {
      for (let i = 0; i < count; i++) await store.appendRow(rowAt(1000 * seq + i))
      await store.reserve(seq, count)
      await store.appendBatch(batchOf(seq, length))
    }
    return { dropped, put, store }
  }
  const seqsOf = async (batches: ReturnType<Store['scan']>) => (await batches).map(({ seq }) => seq)

  describe(name, () => {
    test('default', async () => {
      const { put, store } = await setup()
      await put(0, 3)
      await put(1)
      expect(await store.scan(all)).toEqual([batchOf(0), batchOf(1)])
      const oldest = { seq: 0, end: 0 }
      const size = { ...emptySize, batches: 2, readings: 4, bytes: 200, oldest }
      expect(store.size()).toEqual(size)
      await store.remove([0])
      expect(await store.scan(all)).toEqual([batchOf(1)])
      await store.remove([1])
      expect(store.size()).toEqual(emptySize)
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
      const newest = { maxBytes: 1e6, newest: true, skip }
      expect(await seqsOf(store.scan({ ...newest, maxBatches: 2 }))).toEqual([3, 4])
      expect(await seqsOf(store.scan({ ...newest, maxBatches: 9, above: 3 }))).toEqual([4])
      expect(await seqsOf(store.scan({ ...all, above: 3 }))).toEqual([4])
      expect(await seqsOf(store.scan({ ...newest, maxBatches: 9, above: 4 }))).toEqual([])
      await store.close()
    })

    test('behavior: rows that come while a batch is signed belong to the next', async () => {
      const { store } = await setup()
      for (const time of [1, 2, 3]) await store.appendRow(rowAt(time))
      await store.reserve(0, 2)
      await store.appendRow(rowAt(4))
      await store.appendBatch(batchOf(0))
      expect(store.size()).toMatchObject({ rows: 2, batches: 1, readings: 4 })
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
      expect(store.size()).toMatchObject({ batches: 2, readings: 2, refused: 1, bytes: 300 })
      await store.requeue([1])
      expect(await seqsOf(store.scan(all))).toEqual([0, 1, 2])
      expect(await store.scan(all)).toContainEqual(batchOf(1))
      await store.refuse(0, problem)
      await store.remove([0])
      expect(await store.refused()).toEqual([])
      expect(store.size()).toMatchObject({ batches: 2, bytes: 200 })
      await store.close()
    })

    testKept('behavior: delivered batches are kept, and queued again', async () => {
      const { put, store } = await setup({ keepDeliveredBytes: 1000, maxBytes: 250 })
      for (let seq = 0; seq < 5; seq++) {
        await put(seq)
        if (seq < 4) await store.deliver([seq])
      }
      const place = (seq: number) => ({ seq, end: 1000 * seq })
      expect(store.kept()).toEqual([0, 1, 2, 3].map(place))
      const kept = { kept: 4, keptBytes: 400 }
      expect(store.size()).toMatchObject({ ...kept, batches: 1, bytes: 100, oldest: place(4) })
      await store.requeue([2, 0])
      expect(await seqsOf(store.scan(all))).toEqual([0, 2, 4])
      expect(await store.scan(all)).toContainEqual(batchOf(2))
      const again = { kept: 2, keptBytes: 400, batches: 3, readings: 3, bytes: 100 }
      expect(store.size()).toMatchObject({ ...again, oldest: place(0) })
      await store.deliver([0])
      // Another node has it, so that it is nothing to worry about.
      await store.refuse(2, problem)
      expect(await store.refused()).toEqual([])
      expect(store.kept()).toEqual([0, 1, 2, 3].map(place))
      await store.remove([0, 1, 2, 3, 4])
      expect(store.size()).toEqual(emptySize)
      await store.close()
    })

    testKept('options: keepDeliveredBytes', async () => {
      const { put, store } = await setup({ keepDeliveredBytes: 250 })
      for (let seq = 0; seq < 4; seq++) await put(seq)
      await store.deliver([0, 1])
      await store.deliver([2, 3])
      expect(store.kept().map(({ seq }) => seq)).toEqual([2, 3])
      await store.close()
      const none = await setup({ keepDeliveredBytes: 0 })
      await none.put(5)
      await none.store.deliver([5])
      expect(none.store.kept().map(({ seq }) => seq)).not.toContain(5)
      await none.store.close()
    })

    testKept('options: keepDeliveredMs', async () => {
      const { put, store } = await setup({ keepDeliveredBytes: 1000, keepDeliveredMs: 2000 })
      for (let seq = 0; seq < 5; seq++) await put(seq)
      await store.deliver([0, 1, 2, 3])
      expect(store.kept().map(({ seq }) => seq)).toEqual([2, 3])
      await store.close()
    })

    test('options: whenFull', async () => {
      const { dropped, put, store } = await setup({ maxBytes: 400, whenFull: 'oldest' })
      await put(0, 2)
      await put(1)
      await store.refuse(1, problem)
      await put(2)
      await store.appendRow(rowAt(3000))
      expect(dropped).toEqual([{ seq: 0, end: 0, count: 2 }])
      await store.appendRow(rowAt(3001))
      expect(dropped.slice(1)).toEqual([{ seq: 1, end: 1000, count: 1 }])
      expect(store.size()).toMatchObject({ rows: 2, batches: 1, dropped: 2, refused: 0 })
      await store.appendRow(rowAt(3002))
      // What is not signed has no seq that would show it.
      const full = { name: 'StoreFullError' }
      await expect((async () => store.appendRow(rowAt(3003)))()).rejects.toMatchObject(full)
      expect(store.size()).toMatchObject({ rows: 3, batches: 0, dropped: 3 })
      await store.close()
    })

    testKept('options: whenFull, and a delivered batch that is queued again stays', async () => {
      const options = { keepDeliveredBytes: 500, maxBytes: 300, whenFull: 'oldest' } as const
      const { dropped, put, store } = await setup(options)
      await put(0)
      await store.deliver([0])
      await store.requeue([0])
      await put(1)
      await store.appendRow(rowAt(2000))
      await store.appendRow(rowAt(2001))
      expect(dropped).toMatchObject([{ seq: 1 }])
      expect(await seqsOf(store.scan(all))).toEqual([0])
      await store.close()
    })

    test('error: full, until something is delivered', async () => {
      const { put, store } = await setup({ maxBytes: 300, keepDeliveredBytes: 300 })
      await put(0, 1, 290)
      const full = { kind: 'transport', name: 'StoreFullError' }
      await expect((async () => store.appendRow(rowAt(9)))()).rejects.toMatchObject(full)
      expect(store.size()).toMatchObject({ rows: 0, bytes: 290 })
      await store.deliver([0])
      await store.appendRow(rowAt(9))
      expect(store.size()).toMatchObject({ rows: 1 })
      await store.close()
    })
  })
}
