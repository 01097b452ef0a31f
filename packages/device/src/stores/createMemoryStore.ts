import type { Row } from '@machinefi/telemetry'
import type { QueuedBatch } from '../transports/transport.js'
import { type RefusedBatch, rowBytes, type Store, StoreFullError } from './store.js'

/**
 * A store that lives as long as the process: for browsers, tests, replays.
 * What is not delivered when it ends is lost.
 */
export function createMemoryStore(options: createMemoryStore.Options = {}): Store {
  const { maxBytes = 8 * 1024 * 1024 } = options
  let rows = 0
  let bytes = 0
  /** Every row of a device has the same size: one value per field. */
  let size = 0
  let reserved = 0
  const queued = new Map<number, QueuedBatch>()
  const refused = new Map<number, RefusedBatch>()

  function drop<batch extends QueuedBatch>(from: Map<number, batch>, seq: number) {
    const batch = from.get(seq)
    if (batch !== undefined && from.delete(seq)) bytes -= batch.bytes.length
    return batch
  }

  return {
    open: () => ({ nextSeq: undefined, lastTime: undefined, rows: [], reserved: [], queued: [] }),
    appendRow(row: Row) {
      size = rowBytes(row)
      if (bytes + size > maxBytes) throw new StoreFullError(maxBytes)
      bytes += size
      rows++
    },
    reserve(_seq, count) {
      reserved = count
    },
    appendBatch(batch) {
      rows -= reserved
      bytes -= reserved * size
      reserved = 0
      bytes += batch.bytes.length
      queued.set(batch.seq, batch)
    },
    scan: (limits) => take(queued.values(), limits),
    remove(seqs) {
      for (const seq of seqs) drop(queued, seq) ?? drop(refused, seq)
    },
    refuse(seq, problem) {
      const batch = drop(queued, seq)
      if (batch === undefined) return
      bytes += batch.bytes.length
      refused.set(seq, { ...batch, problem })
    },
    refused: () => [...refused.values()],
    requeue(seqs) {
      for (const seq of seqs) {
        const refusal = drop(refused, seq)
        if (refusal === undefined) continue
        const { problem: _, ...batch } = refusal
        bytes += batch.bytes.length
        queued.set(seq, batch)
      }
    },
    rewind: () => {},
    size: () => ({ rows, batches: queued.size, refused: refused.size, bytes }),
    close: () => {},
  }
}

export declare namespace createMemoryStore {
  type Options = {
    /** Bound of everything kept. @default 8 MiB */
    maxBytes?: number | undefined
  }
}

/** The first batches that fit, at least one. */
function take(batches: Iterable<QueuedBatch>, { maxBatches, maxBytes, skip }: Store.Limits) {
  const taken: QueuedBatch[] = []
  let bytes = 0
  for (const batch of batches) {
    if (skip?.has(batch.seq)) continue
    bytes += batch.bytes.length
    if (taken.length > 0 && (taken.length >= maxBatches || bytes > maxBytes)) break
    taken.push(batch)
  }
  return taken
}
