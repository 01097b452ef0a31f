import type { Row } from '@machinefi/telemetry'
import type { Problem } from '../transports/transport.js'
import { createBatchIndex } from './createBatchIndex.js'
import {
  batchHeadBytes,
  type Entry,
  reserveBytes,
  rowEntryBytes,
  type StorePosition,
  type StoreTimes,
} from './entries.js'
import { rowBytes, type Store } from './store.js'

/** What the segments of a file store say, entry by entry. */
export function createStoreState(bounds: createStoreState.Options) {
  let identity: (Store.Identity & StoreTimes) | undefined
  let nextSeq = Number.NaN
  let lastTime = Number.NaN
  let dropped = 0
  /** What the node said last of final windows, and when. */
  let finalBefore = Number.NaN
  let finalAt = Number.NaN
  /** The latest date of a receipt. */
  let receivedAt = -Infinity
  let rows: StoredRow[] = []
  /** Bytes and number of the rows not signed, reserved ones included. */
  let rowsBytes = 0
  let rowsCount = 0
  const reserved = new Map<number, { segment: number; rows: StoredRow[]; count: number }>()
  const index = createBatchIndex()
  const problems = new Map<number, Problem>()
  /** Bytes of the entries of each segment that are still of use. */
  const useful = new Map<number, number>()
  let usefulBytes = 0

  function use(segment: number, bytes: number) {
    const sum = (useful.get(segment) ?? 0) + bytes
    if (sum === 0) useful.delete(segment)
    else useful.set(segment, sum)
    usefulBytes += bytes
  }

  function useRow({ row, segment }: StoredRow, sign: 1 | -1) {
    use(segment, sign * rowEntryBytes(row))
    rowsBytes += sign * rowBytes(row)
    rowsCount += sign
  }

  function forget(seq: number) {
    const batch = index.get(seq)
    if (batch === undefined) return
    index.delete(seq)
    problems.delete(seq)
    use(batch.segment, -(batchHeadBytes + batch.length))
  }

  /**
   * What time it is at the earliest: neither the clock of the device nor a node alone can make it
   * later than it is.
   */
  function time(): number {
    return Math.min(lastTime, receivedAt)
  }

  /** Delivered batches are kept within bounds of their own, the youngest longest. */
  function trimKept() {
    const { keepDeliveredBytes, keepDeliveredMs } = bounds
    const out: number[] = []
    let bytes = index.total('kept').bytes + index.total('again').bytes
    for (const { end, length, seq } of index.batches(['kept'])) {
      if (bytes <= keepDeliveredBytes && end >= time() - keepDeliveredMs) break
      bytes -= length
      out.push(seq)
    }
    for (const seq of out) forget(seq)
  }

  return {
    /** False for what cannot be: the segments are damaged. */
    apply(entry: Entry, segment: number, offset: number): boolean {
      switch (entry.type) {
        case 'segment':
          return true
        case 'identity':
          identity = entry
          nextSeq = entry.nextSeq
          lastTime = entry.lastTime
          dropped = entry.dropped
          finalBefore = entry.finalBefore
          finalAt = entry.finalAt
          return true
        case 'row': {
          const row = { row: entry.row, segment }
          rows.push(row)
          useRow(row, 1)
          lastTime = Math.max(entry.row.time, Number.isNaN(lastTime) ? 0 : lastTime)
          return true
        }
        case 'reserve': {
          const { count, end, seq } = entry
          let taken = 0
          while (taken < rows.length && rows[taken]!.row.time <= end) taken++
          // Fewer where a segment went, since the batch that they became is in a later one.
          if (taken > count) return false
          reserved.set(seq, { segment, rows: rows.slice(0, taken), count })
          rows = rows.slice(taken)
          use(segment, reserveBytes)
          nextSeq = Math.max(seq + 1, Number.isNaN(nextSeq) ? 0 : nextSeq)
          return true
        }
        case 'batch': {
          const { bytes, count, end, seq } = entry
          const reservation = reserved.get(seq)
          if (reservation !== undefined) {
            for (const row of reservation.rows) useRow(row, -1)
            use(reservation.segment, -reserveBytes)
            reserved.delete(seq)
          }
          forget(seq)
          const { length } = bytes
          const state = 'queued'
          index.put({ seq, end, count, segment, offset, length, state, deliveredAt: 0 })
          use(segment, batchHeadBytes + length)
          return true
        }
        case 'deliver':
          if (entry.at > receivedAt) receivedAt = entry.at
          index.set(entry.seq, 'kept', entry.at)
          problems.delete(entry.seq)
          trimKept()
          return true
        case 'final':
          finalBefore = entry.before
          finalAt = entry.at
          return true
        case 'drop':
          dropped++
          forget(entry.seq)
          return true
        case 'remove':
          forget(entry.seq)
          return true
        case 'refuse': {
          const batch = index.get(entry.seq)
          // What another node has is no problem of its owner's.
          if (batch?.state === 'again') index.set(entry.seq, 'kept')
          else if (batch?.state === 'queued') {
            index.set(entry.seq, 'refused')
            problems.set(entry.seq, entry.problem)
          }
          return true
        }
        case 'requeue': {
          const batch = index.get(entry.seq)
          if (batch?.state === 'kept') index.set(entry.seq, 'again')
          else if (batch?.state === 'refused') {
            index.set(entry.seq, 'queued')
            problems.delete(entry.seq)
          }
          return true
        }
        case 'rewind':
          lastTime = entry.lastTime
          return true
      }
    },
    /** Whether all rows that are reserved are there, once everything is applied. */
    isWhole: () => [...reserved.values()].every(({ count, rows }) => rows.length === count),
    identity: () => identity,
    position: (): StorePosition => ({ nextSeq, lastTime, dropped, finalBefore, finalAt }),
    time,
    /** Takes note of a receipt's date; without one, of the time of the readings. Returns the time. */
    receive(date = lastTime): number {
      if (date > receivedAt) receivedAt = date
      return time()
    },
    /** The kept batches, with the end of their window and the time until which they stay kept. */
    *held() {
      const { finalAfterMs, windowMs } = identity!
      for (const { deliveredAt, end, seq } of index.batches(['kept'])) {
        const windowEnd = (Math.floor(end / windowMs) + 1) * windowMs
        yield { seq, windowEnd, until: Math.max(windowEnd, deliveredAt) + finalAfterMs }
      }
    },
    rows: () => rows.map(({ row }) => row),
    reserved: () => [...reserved].map(([seq, { rows }]) => ({ seq, rows: rows.map((r) => r.row) })),
    /** Time of the last of the oldest `count` rows. */
    endOf: (count: number) => rows[count - 1]?.row.time,
    /** Rows of a batch that is reserved. */
    countOf: (seq: number) => reserved.get(seq)?.count ?? 0,
    index,
    /** Drops a batch from what is known. */
    forget,
    problem: (seq: number) => problems.get(seq),
    usefulBytes: (segment?: number) =>
      segment === undefined ? usefulBytes : (useful.get(segment) ?? 0),
    /** Whether readings that are not signed are in this segment. */
    hasRows(segment: number) {
      const first = reserved.values().next().value
      return [rows[0], first?.rows[0], first].some((stored) => stored?.segment === segment)
    },
    /** What counts against the store's bound. */
    bytes: () => rowsBytes + index.total('queued').bytes + index.total('refused').bytes,
    size(): Store.Size {
      const [queued, again] = [index.total('queued'), index.total('again')]
      const [refused, kept] = [index.total('refused'), index.total('kept')]
      const first = index.batches(['queued', 'again']).next().value
      return {
        rows: rowsCount,
        batches: queued.batches + again.batches,
        readings: rowsCount + queued.readings + again.readings,
        bytes: this.bytes(),
        refused: refused.batches,
        kept: kept.batches,
        keptBytes: kept.bytes + again.bytes,
        dropped,
        oldest: first ? { seq: first.seq, end: first.end } : undefined,
      }
    },
  }
}

export declare namespace createStoreState {
  type Options = { keepDeliveredBytes: number; keepDeliveredMs: number }
}

/** A row, and the number of the segment it is in. */
type StoredRow = { readonly row: Row; readonly segment: number }
