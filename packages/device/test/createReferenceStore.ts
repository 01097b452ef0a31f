import type { Row } from '@machinefi/telemetry'
import type { BatchState } from '../src/stores/createBatchIndex.js'
import type { openFileStore } from '../src/stores/openFileStore.js'
import { type DroppedBatch, rowBytes, type Store, StoreFullError } from '../src/stores/store.js'
import type { Problem, QueuedBatch } from '../src/transports/transport.js'

/** All that a store can do, as simply as can be: what others are compared with. */
export function createReferenceStore(options: openFileStore.Options = {}): Store {
  const {
    maxBytes = 8 * 1024 * 1024,
    whenFull = 'reject',
    keepDeliveredBytes = 0,
    keepDeliveredMs = 10 * 86_400_000,
  } = options
  let onDropped: ((batches: readonly DroppedBatch[]) => void) | undefined
  let rows = 0
  let lastTime = 0
  /** Every row of a device has the same size: one value per field. */
  let size = 0
  let reserved = 0
  let dropped = 0
  /** In the order of their seqs, since they come so and stay in their place. */
  const stored = new Map<number, StoredBatch>()
  /** Of batches that no node has, and of those that one has. */
  let bytes = 0
  let keptBytes = 0

  function* select(...states: readonly BatchState[]) {
    for (const each of stored.values()) if (states.includes(each.state)) yield each
  }

  /** Gives a batch a state, or drops it. */
  function move(seq: number, state?: BatchState, problem?: Problem) {
    const each = stored.get(seq)
    if (each === undefined) return
    const { length } = each.batch.bytes
    if (isDelivered(each.state)) keptBytes -= length
    else bytes -= length
    if (state === undefined) return void stored.delete(seq)
    if (isDelivered(state)) keptBytes += length
    else bytes += length
    each.state = state
    each.problem = problem
  }

  function makeRoom() {
    let over = rows * size + bytes + size - maxBytes
    if (over <= 0) return
    const victims: DroppedBatch[] = []
    if (whenFull === 'oldest')
      for (const { batch, count } of select('queued', 'refused')) {
        if (over <= 0) break
        victims.push({ seq: batch.seq, end: batch.end, count })
        over -= batch.bytes.length
      }
    if (over > 0) throw new StoreFullError(maxBytes)
    for (const { seq } of victims) move(seq)
    dropped += victims.length
    onDropped?.(victims)
  }

  return {
    open(_identity, options) {
      onDropped = options?.onDropped
      return { nextSeq: undefined, lastTime: undefined, rows: [], reserved: [] }
    },
    appendRow(row: Row) {
      size = rowBytes(row)
      makeRoom()
      lastTime = row.time
      rows++
    },
    reserve(_seq, count) {
      reserved = count
    },
    appendBatch(batch) {
      rows -= reserved
      bytes += batch.bytes.length
      stored.set(batch.seq, { batch, count: reserved, state: 'queued', problem: undefined })
      reserved = 0
    },
    scan({ above = -1, maxBatches, maxBytes: most, newest, skip }) {
      const taken: QueuedBatch[] = []
      let sum = 0
      const queued = select('queued', 'again')
      for (const { batch } of newest ? [...queued].reverse() : queued) {
        if (batch.seq <= above || skip?.has(batch.seq)) continue
        sum += batch.bytes.length
        if (taken.length > 0 && (taken.length >= maxBatches || sum > most)) break
        taken.push(batch)
      }
      return newest ? taken.reverse() : taken
    },
    deliver(seqs) {
      for (const seq of seqs) move(seq, 'kept')
      for (const { batch } of select('kept')) {
        if (keptBytes <= keepDeliveredBytes && batch.end >= lastTime - keepDeliveredMs) break
        move(batch.seq)
      }
    },
    remove(seqs) {
      for (const seq of seqs) move(seq)
    },
    refuse(seq, problem) {
      const state = stored.get(seq)?.state
      if (state === 'again') move(seq, 'kept')
      else if (state === 'queued') move(seq, 'refused', problem)
    },
    refused: () =>
      Array.from(select('refused'), ({ batch, problem }) => ({ ...batch, problem: problem! })),
    kept: () => Array.from(select('kept'), ({ batch: { end, seq } }) => ({ seq, end })),
    requeue(seqs) {
      for (const seq of seqs) {
        const state = stored.get(seq)?.state
        if (state === 'kept') move(seq, 'again')
        else if (state === 'refused') move(seq, 'queued')
      }
    },
    rewind(time) {
      lastTime = time
    },
    size() {
      const queued = [...select('queued', 'again')]
      const oldest = queued[0]?.batch
      return {
        rows,
        batches: queued.length,
        readings: queued.reduce((sum, { count }) => sum + count, rows),
        bytes: rows * size + bytes,
        refused: [...select('refused')].length,
        kept: [...select('kept')].length,
        keptBytes,
        dropped,
        oldest: oldest && { seq: oldest.seq, end: oldest.end },
      }
    },
    close: () => {},
  }
}

type StoredBatch = {
  readonly batch: QueuedBatch
  /** Rows. */
  readonly count: number
  state: BatchState
  problem: Problem | undefined
}

function isDelivered(state: BatchState): boolean {
  return state === 'kept' || state === 'again'
}
