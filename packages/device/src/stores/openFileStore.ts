import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BaseError, equalBytes } from '@machinefi/core'
import type { Row } from '@machinefi/telemetry'
import type { Problem, QueuedBatch } from '../transports/transport.js'
import { batchHeadBytes, decodeEntries, type Entry, encodeEntry } from './entries.js'
import { StoreDamagedError, StoreFailedError, StoreMismatchError } from './fileStoreErrors.js'
import { lockDirectory } from './lockDirectory.js'
import { type Journal, openJournal } from './openJournal.js'
import { rowBytes, type Store, StoreFullError } from './store.js'
import { syncDirectory } from './syncDirectory.js'

/**
 * A store in a directory of its own: what `record` resolved for survives
 * crashes and power cuts. Readings and signed batches are appended to one
 * journal and synced (readings that come together share a sync); what is
 * delivered is dropped when the journal is rewritten, which happens when most
 * of it is of no use any more.
 *
 * Signed batches stay on disk: in memory there are about 200 bytes for each.
 */
export function openFileStore(directory: string, options: openFileStore.Options = {}): Store {
  const { maxBytes = 64 * 1024 * 1024 } = options
  const path = resolve(directory)
  const file = join(path, 'journal')
  const state = createState()
  let identity: Store.Identity
  let journal: Journal | undefined
  let unlock: (() => Promise<void>) | undefined
  let compacting = false
  /** Rows that came while the journal was rewritten, in their order. */
  let waiting: (() => void)[] = []
  /** Everything but `appendRow` happens one at a time. */
  let tail: Promise<unknown> = Promise.resolve()

  function exclusive<value>(task: () => Promise<value>): Promise<value> {
    const result = tail.then(task).catch((error) => {
      throw error instanceof BaseError ? error : new StoreFailedError(path, error)
    })
    tail = result.catch(() => {})
    return result
  }

  /** Applies entries and appends them, to be synced. */
  function append(entries: readonly Entry[]) {
    if (journal === undefined) throw new Error('The store is not open.')
    for (const entry of entries) state.apply(entry, journal.append(encodeEntry(entry)))
  }

  async function appendSynced(entries: readonly Entry[]) {
    append(entries)
    await journal!.sync()
  }

  /** Opens the journal, into the state. */
  async function load() {
    await rm(`${file}.new`, { force: true })
    journal = await openJournal(file, (frame, start) => {
      const entries = decodeEntries(frame)
      if (entries === undefined) throw new StoreMismatchError(path, 'format')
      for (const { entry, offset } of entries)
        if (!state.apply(entry, start + offset))
          throw new StoreDamagedError(file, `byte ${start + offset} of the journal`)
    })
    const known = state.identity()
    if (known !== undefined) {
      if (!equalBytes(known.network, identity.network))
        throw new StoreMismatchError(path, 'network')
      if (!equalBytes(known.device, identity.device)) throw new StoreMismatchError(path, 'device')
      const other = known.schema !== identity.schema || known.fields !== identity.fields
      if (other && state.size().rows > 0) throw new StoreMismatchError(path, 'schema')
      if (!other) return
    }
    await appendSynced([{ type: 'identity', ...identity, ...state.position() }])
    await syncDirectory(path)
    await syncDirectory(dirname(path))
  }

  /** Rewrites the journal with what is still of use. */
  async function compact() {
    const old = journal!
    // Rows that are on their way must be in what is rewritten.
    await old.sync()
    await rm(`${file}.new`, { force: true })
    const fresh = createState()
    const next = await openJournal(`${file}.new`, () => {})
    let synced = 0
    try {
      const write = (entry: Entry) => fresh.apply(entry, next.append(encodeEntry(entry)))
      write({ type: 'identity', ...identity, ...state.position() })
      for (const { rows } of state.reserved()) for (const row of rows) write({ type: 'row', row })
      for (const row of state.rows()) write({ type: 'row', row })
      for (const { seq, rows } of state.reserved())
        write({ type: 'reserve', seq, count: rows.length })
      for (const batch of [...state.queued(), ...state.refused()]) {
        const { bytes } = await readBatch(old, batch)
        write({ type: 'batch', ...batch, bytes })
        if (batch.problem !== undefined) {
          const { problem, seq } = batch
          write({ type: 'refuse', seq, problem })
        }
        if (next.length - synced > 1024 * 1024) {
          await next.sync()
          synced = next.length
        }
      }
      await next.sync()
      await rename(`${file}.new`, file)
    } catch (error) {
      await next.close().catch(() => {})
      throw error
    }
    // At once: the old journal has no name any more, and what it took would be lost.
    journal = next
    state.move(fresh)
    await old.close()
    await syncDirectory(path)
  }

  async function compactIfWorthIt() {
    const { bytes } = state.size()
    if (journal!.length < 2 * bytes + minCompactBytes) return
    compacting = true
    try {
      await compact()
    } finally {
      compacting = false
      // In this very turn: a row that comes later cannot overtake them.
      const rows = waiting
      waiting = []
      for (const take of rows) take()
    }
  }

  function readAll(batches: readonly StoredBatch[]) {
    return Promise.all(batches.map((batch) => readBatch(journal!, batch)))
  }

  function appendRow(row: Row): Promise<void> {
    if (compacting)
      return new Promise((resolve) => {
        waiting.push(() => resolve((async () => takeRow(row))()))
      })
    return takeRow(row)
  }

  function takeRow(row: Row): Promise<void> {
    if (state.size().bytes + rowBytes(row) > maxBytes) throw new StoreFullError(maxBytes)
    return appendSynced([{ type: 'row', row }]).catch((error) => {
      throw new StoreFailedError(path, error)
    })
  }

  return {
    lasting: true,
    open(opened) {
      identity = opened
      return exclusive(async () => {
        await mkdir(path, { recursive: true, mode: 0o700 })
        unlock = await lockDirectory(path)
        try {
          await load()
          await compactIfWorthIt()
        } catch (error) {
          await journal?.close().catch(() => {})
          journal = undefined
          await unlock()
          unlock = undefined
          throw error
        }
        const { lastTime, nextSeq } = state.position()
        return {
          lastTime: Number.isNaN(lastTime) ? undefined : lastTime,
          nextSeq: Number.isNaN(nextSeq) ? undefined : nextSeq,
          queued: [...state.queued()].map(({ seq }) => seq),
          reserved: [...state.reserved()],
          rows: [...state.rows()],
        }
      })
    },
    appendRow,
    reserve: (seq, count) => exclusive(() => appendSynced([{ type: 'reserve', seq, count }])),
    appendBatch: (batch) => exclusive(() => appendSynced([{ type: 'batch', ...batch }])),
    scan({ maxBatches, maxBytes: most, skip }) {
      return exclusive(async () => {
        const taken: StoredBatch[] = []
        let bytes = 0
        for (const batch of state.queued()) {
          if (skip?.has(batch.seq)) continue
          bytes += batch.length
          if (taken.length > 0 && (taken.length >= maxBatches || bytes > most)) break
          taken.push(batch)
        }
        return readAll(taken)
      })
    },
    remove(seqs) {
      return exclusive(async () => {
        append(seqs.map((seq) => ({ type: 'remove', seq })))
        await compactIfWorthIt()
      })
    },
    refuse: (seq, problem) => exclusive(() => appendSynced([{ type: 'refuse', seq, problem }])),
    async refused() {
      const batches = await exclusive(async () => readAll([...state.refused()]))
      return batches.map((batch) => ({ ...batch, problem: batch.problem! }))
    },
    requeue(seqs) {
      return exclusive(() => appendSynced(seqs.map((seq) => ({ type: 'requeue', seq }))))
    },
    rewind(lastTime) {
      return exclusive(() => {
        const { nextSeq } = state.position()
        return appendSynced([{ type: 'identity', ...identity, nextSeq, lastTime }])
      })
    },
    size: () => state.size(),
    close() {
      return exclusive(async () => {
        const open = journal
        journal = undefined
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
    /** Bound of what waits for delivery; the file may be a little over twice as large. @default 64 MiB */
    maxBytes?: number | undefined
  }
  type ErrorType = StoreDamagedError | StoreFailedError | StoreFullError | StoreMismatchError
}

/** Below this a journal is not worth rewriting. */
const minCompactBytes = 1024 * 1024

/** A batch in the journal. */
type StoredBatch = Omit<QueuedBatch, 'bytes'> & {
  readonly offset: number
  readonly length: number
  readonly problem?: Problem
}

async function readBatch(journal: Journal, { offset, length, ...batch }: StoredBatch) {
  return { ...batch, bytes: await journal.read(offset, length) }
}

/** What the journal says, entry by entry. */
function createState() {
  let identity: Store.Identity | undefined
  let nextSeq = Number.NaN
  let lastTime = Number.NaN
  let rows: Row[] = []
  let rowCount = 0
  let bytes = 0
  const reserved = new Map<number, Row[]>()
  let queued = new Map<number, StoredBatch>()
  let refused = new Map<number, StoredBatch>()

  const sizeOf = (some: readonly Row[]) => some.reduce((sum, row) => sum + rowBytes(row), 0)

  return {
    /** False when more rows are reserved than there are. */
    apply(entry: Entry, offset: number): boolean {
      switch (entry.type) {
        case 'identity':
          identity = entry
          nextSeq = entry.nextSeq
          lastTime = entry.lastTime
          return true
        case 'row':
          rows.push(entry.row)
          rowCount++
          bytes += rowBytes(entry.row)
          lastTime = Math.max(entry.row.time, Number.isNaN(lastTime) ? 0 : lastTime)
          return true
        case 'reserve':
          if (entry.count > rows.length) return false
          reserved.set(entry.seq, rows.slice(0, entry.count))
          rows = rows.slice(entry.count)
          nextSeq = Math.max(entry.seq + 1, Number.isNaN(nextSeq) ? 0 : nextSeq)
          return true
        case 'batch': {
          const { seq, end, id } = entry
          const { length } = entry.bytes
          const taken = reserved.get(seq) ?? []
          rowCount -= taken.length
          bytes += length - sizeOf(taken)
          reserved.delete(seq)
          queued.set(seq, { seq, end, id, offset: offset + batchHeadBytes, length })
          return true
        }
        case 'remove': {
          const batch = queued.get(entry.seq) ?? refused.get(entry.seq)
          bytes -= batch?.length ?? 0
          queued.delete(entry.seq)
          refused.delete(entry.seq)
          return true
        }
        case 'refuse': {
          const batch = queued.get(entry.seq)
          if (batch === undefined) return true
          queued.delete(entry.seq)
          refused.set(entry.seq, { ...batch, problem: entry.problem })
          return true
        }
        case 'requeue': {
          const batch = refused.get(entry.seq)
          if (batch === undefined) return true
          refused.delete(entry.seq)
          const { problem: _, ...rest } = batch
          queued.set(entry.seq, rest)
          return true
        }
      }
    },
    identity: () => identity,
    position: () => ({ nextSeq, lastTime }),
    rows: (): readonly Row[] => rows,
    *reserved() {
      for (const [seq, some] of reserved) yield { seq, rows: some as readonly Row[] }
    },
    queued: () => queued.values(),
    refused: () => refused.values(),
    /** Takes over what another state says of where batches are. */
    move(from: { queued(): Iterable<StoredBatch>; refused(): Iterable<StoredBatch> }) {
      queued = new Map([...from.queued()].map((batch) => [batch.seq, batch]))
      refused = new Map([...from.refused()].map((batch) => [batch.seq, batch]))
    },
    size: () => ({ rows: rowCount, batches: queued.size, refused: refused.size, bytes }),
  }
}
