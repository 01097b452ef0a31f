import type { Row } from '@machinefi/telemetry'
import type { QueuedBatch } from '../transports/transport.js'
import {
  type DroppedBatch,
  type RefusedBatch,
  rowBytes,
  type Store,
  StoreFullError,
} from './store.js'

/**
 * A store that lives as long as the process: for browsers, tests, replays.
 * What is not delivered when it ends is lost.
 */
export function createMemoryStore(options: createMemoryStore.Options = {}): Store {
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
  /** Queued or refused, and those of them that another node has, in the order of their seqs. */
  let waiting = new Map<number, StoredBatch>()
  const kept = new Map<number, StoredBatch>()
  let batches = 0
  let readings = 0
  let bytes = 0
  let keptBytes = 0

  const isQueued = ({ problem }: StoredBatch) => problem === undefined

  function count(batch: StoredBatch, sign: 1 | -1) {
    if (batch.again) keptBytes += sign * batch.bytes.length
    else bytes += sign * batch.bytes.length
    if (!isQueued(batch)) return
    batches += sign
    readings += sign * batch.count
  }

  function put(batch: StoredBatch) {
    count(batch, 1)
    waiting.set(batch.seq, batch)
  }

  /** Takes a batch that waits. */
  function take(seq: number): StoredBatch | undefined {
    const batch = waiting.get(seq)
    if (batch === undefined) return undefined
    count(batch, -1)
    waiting.delete(seq)
    return batch
  }

  function dropKept(seq: number) {
    keptBytes -= kept.get(seq)?.bytes.length ?? 0
    kept.delete(seq)
  }

  function oldest(): StoredBatch | undefined {
    for (const batch of waiting.values()) if (isQueued(batch)) return batch
    return undefined
  }

  function makeRoom() {
    if (rows * size + bytes + size <= maxBytes) return
    const victims: StoredBatch[] = []
    let over = rows * size + bytes + size - maxBytes
    if (whenFull === 'oldest')
      for (const batch of waiting.values()) {
        if (over <= 0) break
        if (batch.again) continue
        victims.push(batch)
        over -= batch.bytes.length
      }
    if (over > 0) throw new StoreFullError(maxBytes)
    for (const { seq } of victims) take(seq)
    dropped += victims.length
    onDropped?.(victims.map(({ count, end, seq }) => ({ seq, end, count })))
  }

  return {
    open(_identity, options = {}) {
      onDropped = options.onDropped
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
      put({ ...batch, count: reserved })
      reserved = 0
    },
    scan({ above = -1, maxBatches, maxBytes: most, newest = false, skip }) {
      const all = newest ? [...waiting.values()].reverse() : waiting.values()
      const taken: QueuedBatch[] = []
      let sum = 0
      for (const batch of all) {
        if (!isQueued(batch) || batch.seq <= above || skip?.has(batch.seq)) continue
        sum += batch.bytes.length
        if (taken.length > 0 && (taken.length >= maxBatches || sum > most)) break
        taken.push(toQueued(batch))
      }
      return newest ? taken.reverse() : taken
    },
    deliver(seqs) {
      for (const seq of seqs) {
        const batch = take(seq)
        if (batch === undefined || keepDeliveredBytes === 0) continue
        keptBytes += batch.bytes.length
        kept.set(seq, { ...batch, problem: undefined })
      }
      for (const { end, seq } of sorted(kept).values()) {
        if (keptBytes <= keepDeliveredBytes && end >= lastTime - keepDeliveredMs) break
        dropKept(seq)
      }
    },
    remove(seqs) {
      for (const seq of seqs) take(seq) ?? dropKept(seq)
    },
    refuse(seq, problem) {
      const batch = take(seq)
      if (batch === undefined) return
      if (!batch.again) return put({ ...batch, problem })
      keptBytes += batch.bytes.length
      kept.set(seq, batch)
    },
    refused: () =>
      [...waiting.values()].flatMap((batch): RefusedBatch[] => {
        return batch.problem ? [{ ...toQueued(batch), problem: batch.problem }] : []
      }),
    kept: () => Array.from(sorted(kept).values(), ({ end, seq }) => ({ seq, end })),
    requeue(seqs) {
      for (const seq of seqs) {
        const delivered = kept.get(seq)
        const batch = delivered ?? (waiting.get(seq)?.problem && take(seq))
        if (batch === undefined) continue
        if (delivered) dropKept(seq)
        put({ ...batch, again: delivered !== undefined, problem: undefined })
      }
      waiting = sorted(waiting)
    },
    rewind(time) {
      lastTime = time
    },
    size() {
      const first = oldest()
      return {
        rows,
        batches,
        readings: rows + readings,
        bytes: rows * size + bytes,
        refused: waiting.size - batches,
        kept: kept.size,
        keptBytes,
        dropped,
        oldest: first && { seq: first.seq, end: first.end },
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
    /** Bound of the delivered batches that are kept, for another node. @default 0, which keeps none */
    keepDeliveredBytes?: number | undefined
    /** How much older than the newest reading a kept batch may get. @default 10 days */
    keepDeliveredMs?: number | undefined
  }
}

type StoredBatch = QueuedBatch & {
  readonly count: number
  /** Whether it was delivered, to another node. */
  readonly again?: boolean
  readonly problem?: RefusedBatch['problem'] | undefined
}

function toQueued({ bytes, end, id, seq }: StoredBatch): QueuedBatch {
  return { seq, id, bytes, end }
}

function sorted<value>(map: ReadonlyMap<number, value>): Map<number, value> {
  return new Map([...map].sort(([a], [b]) => a - b))
}
