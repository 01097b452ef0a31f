import type { Row } from '@machinefi/telemetry'
import type { Problem, QueuedBatch } from '../transports/transport.js'
import { type DroppedBatch, rowBytes, type Store, StoreFullError } from './store.js'

/**
 * A store that lives as long as the process: for browsers, tests, replays.
 * What is not delivered when it ends is lost; what is delivered is not kept.
 */
export function createMemoryStore(options: createMemoryStore.Options = {}): Store {
  const { maxBytes = 8 * 1024 * 1024, whenFull = 'reject' } = options
  let onDropped: ((batches: readonly DroppedBatch[]) => void) | undefined
  let rows = 0
  /** Every row of a device has the same size: one value per field. */
  let size = 0
  let reserved = 0
  let dropped = 0
  /** In the order of their seqs, since they come so and stay in their place. */
  const stored = new Map<number, StoredBatch>()
  let bytes = 0

  function* select(isRefused: boolean) {
    for (const each of stored.values()) if ((each.problem !== undefined) === isRefused) yield each
  }

  function remove(seq: number) {
    bytes -= stored.get(seq)?.batch.bytes.length ?? 0
    stored.delete(seq)
  }

  function setProblem(seq: number, problem: Problem | undefined) {
    const each = stored.get(seq)
    if (each !== undefined) each.problem = problem
  }

  function makeRoom() {
    let over = rows * size + bytes + size - maxBytes
    if (over <= 0) return
    const victims: DroppedBatch[] = []
    if (whenFull === 'oldest')
      for (const { batch, count } of stored.values()) {
        if (over <= 0) break
        victims.push({ seq: batch.seq, end: batch.end, count })
        over -= batch.bytes.length
      }
    if (over > 0) throw new StoreFullError(maxBytes)
    for (const { seq } of victims) remove(seq)
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
      rows++
    },
    reserve(_seq, count) {
      reserved = count
    },
    appendBatch(batch) {
      rows -= reserved
      bytes += batch.bytes.length
      stored.set(batch.seq, { batch, count: reserved, problem: undefined })
      reserved = 0
    },
    scan({ above = -1, maxBatches, maxBytes: most, newest, skip }) {
      const taken: QueuedBatch[] = []
      let sum = 0
      const queued = select(false)
      for (const { batch } of newest ? [...queued].reverse() : queued) {
        if (batch.seq <= above || skip?.has(batch.seq)) continue
        sum += batch.bytes.length
        if (taken.length > 0 && (taken.length >= maxBatches || sum > most)) break
        taken.push(batch)
      }
      return newest ? taken.reverse() : taken
    },
    deliver: (seqs) => seqs.forEach(remove),
    remove: (seqs) => seqs.forEach(remove),
    refuse: setProblem,
    refused: () =>
      Array.from(select(true), ({ batch, problem }) => ({ ...batch, problem: problem! })),
    kept: () => [],
    requeue(seqs) {
      for (const seq of seqs) setProblem(seq, undefined)
    },
    rewind: () => {},
    size() {
      const queued = [...select(false)]
      const oldest = queued[0]?.batch
      return {
        rows,
        batches: queued.length,
        readings: queued.reduce((sum, { count }) => sum + count, rows),
        bytes: rows * size + bytes,
        refused: stored.size - queued.length,
        kept: 0,
        keptBytes: 0,
        dropped,
        oldest: oldest && { seq: oldest.seq, end: oldest.end },
      }
    },
    close: () => {},
  }
}

export declare namespace createMemoryStore {
  type Options = {
    /** Bound of what waits for delivery. @default 8 MiB */
    maxBytes?: number | undefined
    /**
     * What happens to a reading when the store is full: it is refused (StoreFullError), or the
     * oldest batches that no node has make room for it. @default 'reject'
     */
    whenFull?: Store.WhenFull | undefined
  }
}

type StoredBatch = {
  readonly batch: QueuedBatch
  /** Rows. */
  readonly count: number
  problem: Problem | undefined
}
