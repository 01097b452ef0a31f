import { expect, test } from 'vitest'
import { type BatchState, createBatchIndex, type IndexedBatch } from './createBatchIndex.js'

const states: readonly BatchState[] = ['queued', 'again', 'refused', 'kept']

const batchOf = (seq: number, state: BatchState = 'queued'): IndexedBatch => ({
  seq,
  end: 1e12 + seq,
  count: seq % 60,
  segment: seq % 7,
  offset: seq % 1e6,
  length: 100 + (seq % 50),
  state,
  deliveredAt: state === 'kept' ? 2e12 + seq : 0,
})

test('default', () => {
  const index = createBatchIndex()
  for (const seq of [3, 5, 2 ** 52]) index.put(batchOf(seq))
  index.set(5, 'kept', 2e12 + 5)
  expect([...index.batches(['queued'])]).toEqual([batchOf(3), batchOf(2 ** 52)])
  expect(index.get(5)).toEqual(batchOf(5, 'kept'))
  index.set(5, 'again')
  expect(index.get(5)).toEqual({ ...batchOf(5, 'kept'), state: 'again' })
  index.set(5, 'kept')
  expect(index.get(4)).toBeUndefined()
  expect(index.total('kept')).toEqual({ batches: 1, bytes: 105, readings: 5 })
  index.delete(5)
  expect(index.get(5)).toBeUndefined()
  expect(index.total('kept')).toEqual({ batches: 0, bytes: 0, readings: 0 })
})

test('behavior: says at any time what a map says', () => {
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const index = createBatchIndex()
  const map = new Map<number, IndexedBatch>()
  let next = 0
  for (let step = 0; step < 20_000; step++) {
    const seq = random(Math.max(1, next))
    const state = states[random(4)]!
    const action = random(10)
    // As they come, with gaps; now and then an old one, from elsewhere.
    if (action < 4 || (action < 5 && !map.has(seq))) {
      if (action < 4) next += 1 + random(3)
      const batch = batchOf(action < 4 ? next : seq, state)
      index.put(batch)
      map.set(batch.seq, batch)
    } else if (action < 7) {
      const { deliveredAt } =
        state === 'kept' ? batchOf(seq, state) : (map.get(seq) ?? batchOf(seq))
      index.set(seq, state, state === 'kept' ? deliveredAt : undefined)
      if (map.has(seq)) map.set(seq, { ...map.get(seq)!, deliveredAt, state })
    } else if (action < 9) {
      index.delete(seq)
      map.delete(seq)
    } else {
      const oldest = index.batches(states).next().value?.seq
      if (oldest !== undefined) index.delete(oldest)
      map.delete(Math.min(...map.keys()))
    }
    if (step % 200 > 0) continue
    const sorted = [...map.values()].sort((a, b) => a.seq - b.seq)
    for (const some of [states, ['queued', 'again'], ['kept'], ['refused']] as BatchState[][]) {
      const expected = sorted.filter((batch) => some.includes(batch.state))
      expect([...index.batches(some)]).toEqual(expected)
      expect([...index.batches(some, { newest: true })]).toEqual(expected.toReversed())
    }
    for (const state of states) {
      const some = sorted.filter((batch) => batch.state === state)
      expect(index.total(state)).toEqual({
        batches: some.length,
        bytes: some.reduce((sum, { length }) => sum + length, 0),
        readings: some.reduce((sum, { count }) => sum + count, 0),
      })
    }
  }
  expect(map.size).toBeGreaterThan(100)
})
