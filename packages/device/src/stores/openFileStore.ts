import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { BaseError, equalBytes } from '@machinefi/core'
import { decodeReceipt } from '@machinefi/proof'
import type { Row } from '@machinefi/telemetry'
import type { QueuedBatch, Transport } from '../transports/transport.js'
import type { BatchState, IndexedBatch } from './createBatchIndex.js'
import { createStoreState } from './createStoreState.js'
import {
  type BatchEntry,
  batchHeadBytes,
  decodeEntries,
  type Entry,
  encodeEntry,
  type StoreTimes,
} from './entries.js'
import { StoreDamagedError, StoreFailedError, StoreMismatchError } from './fileStoreErrors.js'
import { isDiskFull } from './isDiskFull.js'
import { lockDirectory } from './lockDirectory.js'
import { openSegments, type Segments } from './openSegments.js'
import { segmentPath } from './readSegments.js'
import { type DroppedBatch, rowBytes, type Store, StoreFullError } from './store.js'
import { syncDirectory } from './syncDirectory.js'

/**
 * A store in a directory of its own: what `record` resolved for survives
 * crashes and power cuts. Readings and signed batches are appended to segment
 * files and synced (readings that come together share a sync). A segment is
 * deleted when nothing in it is of use; where little is, that is written anew.
 *
 * Signed batches stay on disk: in memory there are 33 bytes for each.
 */
export function openFileStore(directory: string, options: openFileStore.Options = {}): Store {
  const {
    maxBytes = 64 * 1024 * 1024,
    whenFull = 'reject',
    keepDeliveredBytes = 16 * 1024 * 1024,
    keepDeliveredMs = 30 * 86_400_000,
    segmentBytes = 1024 * 1024,
  } = options
  const path = resolve(directory)
  const state = createStoreState({ keepDeliveredBytes, keepDeliveredMs })
  let identity: Store.Identity & StoreTimes
  let getTransport: (() => Transport) | undefined
  let onDropped: ((batches: readonly DroppedBatch[]) => void) | undefined
  let segments: Segments | undefined
  let unlock: (() => Promise<void>) | undefined
  /** Of rows on their way to the disk. */
  let pendingBytes = 0
  /** Batches that make room for rows on their way to the disk. */
  const dropping = new Set<number>()
  let droppingBytes = 0
  let tidying = false
  /** Whether the last write found no room. */
  let full = false
  /** The question to the node that is under way, and the times between which there is none. */
  let asking: Promise<void> | undefined
  let quiet = { from: Infinity, to: Infinity }
  let abort = () => {}
  /** Everything but `appendRow`, `reserve` and `appendBatch` happens one at a time. */
  let tail: Promise<unknown> = Promise.resolve()

  function exclusive<value>(task: () => Promise<value>): Promise<value> {
    const result = tail.then(task).catch((error) => {
      throw error instanceof BaseError ? error : new StoreFailedError(path, error)
    })
    tail = result.catch(() => {})
    return result
  }

  /**
   * Resolves when the entries are on disk. They are applied then, in the order of the file, so that
   * memory never says what a reader of the file would not.
   */
  function append(entries: readonly Entry[], options: AppendOptions = {}): Promise<void> {
    const { applies = () => true, settled } = options
    return new Promise((resolve, reject) => {
      if (entries.length === 0) return resolve()
      if (segments === undefined) throw new StoreFailedError(path, new Error('It is not open.'))
      const parts = entries.map(encodeEntry)
      segments.append(parts.length === 1 ? parts[0]! : Buffer.concat(parts), (place) => {
        settled?.()
        full = 'error' in place && isDiskFull(place.error)
        if (full) tidySoon()
        if ('error' in place) return reject(new StoreFailedError(path, place.error))
        let { offset } = place
        for (const [i, entry] of entries.entries()) {
          if (applies(entry)) state.apply(entry, place.segment, offset)
          offset += parts[i]!.length
        }
        resolve()
      })
    })
  }

  /** Opens the segments, into the state. */
  async function load() {
    segments = await openSegments(path, {
      segmentBytes,
      replay: state.apply,
      head: () => ({ type: 'identity', ...identity, ...state.position() }),
    })
    if (!state.isWhole())
      throw new StoreDamagedError(segmentPath(path, segments.list[0]!.number), 0)
    const known = state.identity()
    if (known !== undefined) {
      if (!equalBytes(known.network, identity.network))
        throw new StoreMismatchError(path, 'network')
      if (!equalBytes(known.device, identity.device)) throw new StoreMismatchError(path, 'device')
      const differs = (name: keyof typeof known) => !Object.is(known[name], identity[name])
      const other = differs('schema') || differs('fields')
      if (other && state.size().rows > 0) throw new StoreMismatchError(path, 'schema')
      if (!other && !differs('windowMs') && !differs('finalAfterMs')) return
    }
    const entry: Entry = { type: 'identity', ...identity, ...state.position() }
    try {
      await append([entry])
    } catch (error) {
      // What is here is delivered all the same. The segment that is begun next says it.
      if (!full) throw error
      state.apply(entry, 0, 0)
    }
    await syncDirectory(dirname(path))
  }

  function appendRow(row: Row): Promise<void> {
    const size = rowBytes(row)
    const over = state.bytes() + pendingBytes - droppingBytes + size - maxBytes
    const victims = over > 0 ? findVictims(over) : []
    const victimBytes = victims.reduce((sum, { length }) => sum + length, 0)
    const entries: Entry[] = victims.map(({ seq }) => ({ type: 'drop', seq }))
    entries.push({ type: 'row', row })
    pendingBytes += size
    droppingBytes += victimBytes
    for (const { seq } of victims) dropping.add(seq)
    const appended = append(entries, {
      settled() {
        pendingBytes -= size
        droppingBytes -= victimBytes
        for (const { seq } of victims) dropping.delete(seq)
      },
    })
    if (victims.length === 0) return appended
    return appended.then(() => {
      onDropped?.(victims.map(({ count, end, seq }) => ({ seq, end, count })))
      tidySoon()
    })
  }

  /** The batches to drop for so many bytes. */
  function findVictims(bytes: number): IndexedBatch[] {
    const victims: IndexedBatch[] = []
    let left = bytes
    if (whenFull === 'oldest')
      for (const batch of state.index.batches(['queued', 'refused'])) {
        if (left <= 0) break
        if (dropping.has(batch.seq)) continue
        victims.push(batch)
        left -= batch.length
      }
    if (left > 0) throw new StoreFullError(maxBytes)
    return victims
  }

  /** Entries that need not be durable: where the disk refuses them, they apply all the same. */
  async function appendLoosely(entries: readonly Entry[]) {
    try {
      await append(entries)
    } catch {
      for (const entry of entries) state.apply(entry, 0, 0)
    }
    await tidy()
  }

  function tidySoon() {
    if (tidying) return
    tidying = true
    void exclusive(tidy)
  }

  /** Deletes segments of no use. A disk that refuses is asked again the next time. */
  async function tidy() {
    tidying = false
    if (segments === undefined) return
    try {
      if (full) giveWay()
      await dropUseless()
      while (isMostlyUseless() && (await moveOldest())) await dropUseless()
    } catch {}
  }

  /** On a disk that is full, what is kept for another node makes room for what no node has. */
  function giveWay() {
    const [oldest, next] = segments!.list
    if (next === undefined) return
    const kept = [...state.index.batches(['kept'])].filter(
      ({ segment }) => segment === oldest!.number,
    )
    const bytes = kept.reduce((sum, { length }) => sum + batchHeadBytes + length, 0)
    if (bytes === state.usefulBytes(oldest!.number)) for (const { seq } of kept) state.forget(seq)
  }

  async function dropUseless() {
    const { list } = segments!
    let count = 0
    while (count < list.length - 1 && state.usefulBytes(list[count]!.number) === 0) count++
    if (count > 0) await segments!.dropOldest(count)
  }

  function isMostlyUseless() {
    const list = segments?.list ?? []
    const bytes = list.reduce((sum, { end }) => sum + end, 0)
    if (list.length < 2 || bytes <= 2 * (state.usefulBytes() + segmentBytes)) return false
    // Readings become batches soon, and their order is that of the file.
    return !state.hasRows(list[0]!.number)
  }

  /** Writes what is of use in the oldest segment anew. */
  async function moveOldest(): Promise<boolean> {
    const { number } = segments!.list[0]!
    const all: readonly BatchState[] = ['queued', 'again', 'refused', 'kept']
    const batches = [...state.index.batches(all)].filter(({ segment }) => segment === number)
    const entries: Entry[] = []
    for (const entry of await readEntries(batches)) {
      const { seq } = entry
      const batch = state.index.get(seq)
      if (batch?.segment !== number) continue
      const problem = state.problem(seq)
      entries.push(entry)
      if (problem !== undefined) entries.push({ type: 'refuse', seq, problem })
      if (batch.state === 'kept' || batch.state === 'again')
        entries.push({ type: 'deliver', seq, at: batch.deliveredAt })
      if (batch.state === 'again') entries.push({ type: 'requeue', seq })
    }
    // One that was dropped meanwhile stays so.
    const applies = (entry: Entry) => 'seq' in entry && state.index.get(entry.seq) !== undefined
    await append(entries, { applies })
    return entries.length > 0
  }

  /** Reads batches: one stretch of each segment. */
  async function readEntries(batches: readonly IndexedBatch[]): Promise<BatchEntry[]> {
    const entries = new Map<number, BatchEntry>()
    for (const number of new Set(batches.map(({ segment }) => segment))) {
      const some = batches.filter(({ segment }) => segment === number)
      const from = Math.min(...some.map(({ offset }) => offset))
      const to = Math.max(...some.map(({ length, offset }) => offset + batchHeadBytes + length))
      const bytes = await segments!.read(number, from, to)
      for (const { length, offset, seq } of some) {
        const at = offset - from
        // A copy, so that nothing holds the whole stretch.
        const copy = Uint8Array.from(bytes.subarray(at, at + batchHeadBytes + length))
        const entry = decodeEntries(copy)?.[0]?.entry
        if (entry?.type !== 'batch' || entry.seq !== seq)
          throw new StoreDamagedError(segmentPath(path, number), offset)
        entries.set(seq, entry)
      }
    }
    return batches.map(({ seq }) => entries.get(seq)!)
  }

  async function readBatches(batches: readonly IndexedBatch[]): Promise<QueuedBatch[]> {
    const entries = await readEntries(batches)
    return entries.map(({ bytes, end, id, seq }) => ({ seq, id, bytes, end }))
  }

  /**
   * Asks the node which windows are final, and gives up what is kept of them: when some could be,
   * and not more often than four times a window.
   */
  function follow() {
    const now = state.time()
    const { finalAfterMs, windowMs } = identity
    if (asking || Number.isNaN(windowMs) || (now >= quiet.from && now < quiet.to)) return
    // What is delivered from now on is not due before.
    let due = now + finalAfterMs
    for (const { until } of state.held()) due = Math.min(due, until)
    // By this run, or by one before.
    const { finalAt } = state.position()
    if (finalAt <= now) due = Math.max(due, finalAt + windowMs / 4)
    quiet = { from: now, to: due }
    if (now < due) return
    quiet.to = now + windowMs / 4
    asking = ask()
      .catch(() => {})
      .finally(() => {
        asking = undefined
      })
  }

  async function ask() {
    const { device, network } = identity
    const controller = new AbortController()
    const { signal } = controller
    const aborted = new Promise<undefined>((resolve) => {
      abort = () => {
        controller.abort()
        resolve(undefined)
      }
    })
    const answer = getTransport?.().readDevice?.({ device, network, signal })
    const known = await Promise.race([answer, aborted])
    if (typeof known?.finalBefore !== 'number') return
    const at = state.time()
    // Nothing is final that is not over.
    const before = Math.min(known.finalBefore, at)
    await exclusive(async () => {
      const final = [...state.held()].filter(({ until, windowEnd }) => {
        return windowEnd <= before && until <= at
      })
      const entries: Entry[] = final.map(({ seq }) => ({ type: 'remove', seq }))
      await appendLoosely([{ type: 'final', before, at }, ...entries])
    })
  }

  return {
    lasting: true,
    open(opened, options = {}) {
      const { windowMs = Number.NaN, finalAfterMs = defaultFinalAfterMs } = options.network ?? {}
      identity = { ...opened, windowMs, finalAfterMs }
      getTransport = options.getTransport
      onDropped = options.onDropped
      return exclusive(async () => {
        await mkdir(path, { recursive: true, mode: 0o700 })
        unlock = await lockDirectory(path)
        try {
          await load()
          await tidy()
        } catch (error) {
          await segments?.close().catch(() => {})
          segments = undefined
          await unlock()
          unlock = undefined
          throw error
        }
        const { lastTime, nextSeq } = state.position()
        return {
          lastTime: Number.isNaN(lastTime) ? undefined : lastTime,
          nextSeq: Number.isNaN(nextSeq) ? undefined : nextSeq,
          reserved: state.reserved(),
          rows: state.rows(),
        }
      })
    },
    appendRow,
    async reserve(seq, count) {
      const end = state.endOf(count)
      if (end === undefined) throw new StoreFailedError(path, new Error('There are fewer rows.'))
      await append([{ type: 'reserve', seq, count, end }])
    },
    async appendBatch({ bytes, end, id, seq }) {
      const count = state.countOf(seq)
      await append([{ type: 'batch', seq, end, count, id, bytes }])
      // Its rows were of use until now: while the node is away, nothing else would make room.
      if (isMostlyUseless()) tidySoon()
    },
    scan({ above = -1, maxBatches, maxBytes: most, newest = false, skip }) {
      return exclusive(async () => {
        const taken: IndexedBatch[] = []
        let bytes = 0
        for (const batch of state.index.batches(['queued', 'again'], { newest })) {
          if (batch.seq <= above) {
            if (newest) break
            continue
          }
          if (skip?.has(batch.seq)) continue
          bytes += batch.length
          if (taken.length > 0 && (taken.length >= maxBatches || bytes > most)) break
          taken.push(batch)
        }
        return readBatches(newest ? taken.reverse() : taken)
      })
    },
    async deliver(seqs, deliveries) {
      await exclusive(() => {
        const at = state.receive(newestDate(deliveries))
        return appendLoosely(seqs.map((seq) => ({ type: 'deliver', seq, at })))
      })
      follow()
    },
    remove: (seqs) => exclusive(() => appendLoosely(seqs.map((seq) => ({ type: 'remove', seq })))),
    refuse: (seq, problem) => exclusive(() => append([{ type: 'refuse', seq, problem }])),
    async refused() {
      const batches = await exclusive(() => readBatches([...state.index.batches(['refused'])]))
      return batches.map((batch) => ({ ...batch, problem: state.problem(batch.seq)! }))
    },
    kept: () => Array.from(state.index.batches(['kept']), ({ end, seq }) => ({ seq, end })),
    requeue: (seqs) => exclusive(() => append(seqs.map((seq) => ({ type: 'requeue', seq })))),
    rewind: (lastTime) => exclusive(() => append([{ type: 'rewind', lastTime }])),
    size: () => state.size(),
    async close() {
      // A device that wakes up for a moment would else never hear an answer.
      const timer = setTimeout(abort, maxAnswerMs)
      await asking
      clearTimeout(timer)
      return exclusive(async () => {
        const open = segments
        segments = undefined
        try {
          await open?.close()
        } finally {
          await unlock?.()
          unlock = undefined
        }
      })
    },
  }
}

export declare namespace openFileStore {
  type Options = {
    /**
     * Bound of what waits for delivery: batches by their bytes, readings that are not signed yet by
     * what they take in memory. @default 64 MiB
     */
    maxBytes?: number | undefined
    /**
     * What happens to a reading when the store is full: it is refused (StoreFullError), or the
     * oldest batches that no node has make room for it. @default 'reject'
     */
    whenFull?: Store.WhenFull | undefined
    /** Bound of the delivered batches that are kept, for another node; 0 keeps none. @default 16 MiB */
    keepDeliveredBytes?: number | undefined
    /**
     * How much older a kept batch may get than the newest reading, and than the date of the newest
     * receipt. @default 30 days
     */
    keepDeliveredMs?: number | undefined
    /** Length at which a file is followed by the next. @default 1 MiB */
    segmentBytes?: number | undefined
  }
  type ErrorType = StoreDamagedError | StoreFailedError | StoreFullError | StoreMismatchError
}

/** How long the end waits for the answer to a question. */
const maxAnswerMs = 1000

/** Those of a network as it is made by default, 1 hour and 7 days, and some. */
const defaultFinalAfterMs = 8 * 86_400_000

/** The latest date of receipts, ms; undefined where no transport brings any. */
function newestDate(deliveries: readonly Transport.Delivery[] = []): number | undefined {
  const dates: number[] = []
  for (const delivery of deliveries)
    if (delivery.status === 'delivered')
      try {
        dates.push(decodeReceipt(delivery.receipt).time)
      } catch {
        // A transport that verifies receipts has let none through that cannot be read.
      }
  return dates.length === 0 ? undefined : Math.max(...dates)
}

type AppendOptions = {
  /** Whether an entry still applies, when it is on disk. */
  applies?: (entry: Entry) => boolean
  /** Called when it is known what became of them, before they are applied. */
  settled?: () => void
}
