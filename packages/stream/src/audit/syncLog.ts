import { randomInt } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { equalBytes, sha256 } from '@machinefi/core'
import { verifySignatureSync } from '@machinefi/core/node'
import { decodeCheckpoint } from '@machinefi/proof'
import {
  BatchError,
  decodeBatch,
  encodeBatch,
  readBatch,
  type SignedBatch,
  sigStructure,
} from '@machinefi/telemetry'
import { type NodeReader, NodeRefusedError } from './createNodeReader.js'
import type { LogKeys } from './openAuditChain.js'
import type { AuditStore, CopiedBatch, KeptCheckpoint } from './openAuditStore.js'
import type { LogCopy } from './openLogCopy.js'
import { verifyHead } from './verifyHead.js'

/**
 * Brings the copy of a log up to the head that its node shows: the head's
 * signature, then the entries, which must have its root, then the batches,
 * which must have the entries' ids, then every head signed meanwhile, which
 * must be on the way. What a node says counts for nothing but that.
 *
 * The next batches are on their way while the last ones are verified.
 *
 * A node may take as long as it gets on with it, within the time there is: what
 * it gave is kept, and the next call goes on from there.
 */
export async function syncLog(options: syncLog.Options): Promise<SyncReport> {
  const { copy, keyOf, logKeys, network, onProgress, partial, signal, store } = options
  const { paceMs = 60_000 } = options
  const report: SyncReport = {
    ...{ batches: 0, contradiction: false, foreign: false, problems: [], size: copy.size },
  }
  let bulk = true
  /** Batches that were refused for now. */
  let delayed = 0

  const stop = new AbortController()
  const either = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])])
  const reader: Pick<NodeReader, 'read'> = {
    read: (path, bounds) => options.reader.read(path, { ...bounds, signal: either }),
  }
  const halt = () => stop.abort()
  const timer = options.turnMs === undefined ? undefined : setTimeout(halt, options.turnMs)
  /** What it gave since its pace was looked at last. */
  let bytes = 0
  const pace = setInterval(() => {
    if (bytes < minBytes) halt()
    bytes = 0
  }, paceMs)

  /** What a node refuses is noted; one that is overloaded, slow or not there is left alone for this time. */
  let away = false
  const doing = async (work: () => Promise<unknown>) => {
    if (away) return
    try {
      await work()
    } catch (error) {
      if (!(error instanceof NodeRefusedError)) throw error
      signal?.throwIfAborted()
      report.problems.push(
        stop.signal.aborted
          ? 'The node has not given all of its log yet: the next round goes on from here.'
          : error.shortMessage,
      )
      away = isForNow(error)
    }
  }

  try {
    await doing(async () => {
      const head = await readHead()
      if (!head) return
      await extend(head)
      keep([head])
      if (head.size > copy.size && head.size <= maxEntries) {
        report.contradiction ||= copy.size > 0
        report.problems.push('The entries that the node shows do not lead to the head it signed.')
      }
    })
    // What was posted counts as much as what was signed.
    for (const target of options.posted ?? []) await doing(() => extend(target))
    store.reviewCheckpoints(copy.number, copy.size, agrees)
    await doing(copyBatches)
    await doing(fillHoles)
    await doing(readCheckpoints)
  } finally {
    clearTimeout(timer)
    clearInterval(pace)
  }
  report.size = copy.size
  return report

  /** The latest head, if it is one of this log. */
  async function readHead(): Promise<KeptCheckpoint | undefined> {
    let bytes: Uint8Array
    try {
      bytes = await reader.read('/log/checkpoint', { maxBytes: maxCheckpointBytes, signal })
    } catch (error) {
      if ((error as NodeRefusedError).status === 404) return undefined
      throw error
    }
    const head = await toHead(bytes)
    if (head) return head
    report.foreign = true
    report.problems.push('The head that the node shows is not one of this log.')
    return undefined
  }

  async function toHead(bytes: Uint8Array): Promise<KeptCheckpoint | undefined> {
    const { operator, shard } = copy
    const signed = await verifyHead(bytes, { logKeys, network, operator })
    if (signed?.checkpoint.shard !== shard) return undefined
    const { root, size, time } = signed.checkpoint
    return { bytes, odd: !agrees({ root, size }), root, size, time, verified: true }
  }

  /** Whether a head is one that the copy had. */
  function agrees({ root, size }: { root: Uint8Array; size: number }): boolean {
    return size <= copy.size && equalBytes(copy.log.root(size), root)
  }

  /** Reads the entries up to a head, and keeps them if they have its root. */
  async function extend({ root, size }: { root: Uint8Array; size: number }) {
    if (size <= copy.size) return
    if (size > maxEntries) {
      report.problems.push(`A log of ${size} entries is more than an auditor keeps.`)
      return
    }
    if (partial.from !== copy.size) Object.assign(partial, { from: copy.size, parts: [], size: 0 })
    const onIds = (ids: Uint8Array) => {
      partial.parts.push(ids)
      partial.size += ids.length / 32
      bytes += ids.length
    }
    await readEntries({
      from: partial.from + partial.size,
      onIds,
      reader,
      signal: either,
      to: size,
    })
    let left = 32 * (size - copy.size)
    if (32 * partial.size < left) return
    try {
      for (const ids of partial.parts) {
        copy.propose(ids.subarray(0, left))
        left -= Math.min(left, ids.length)
        await setImmediate()
        signal?.throwIfAborted()
      }
      if (equalBytes(copy.log.root(), root)) copy.accept()
      else Object.assign(partial, { parts: [], size: 0 })
    } finally {
      copy.reject()
    }
  }

  function keep(heads: readonly KeptCheckpoint[]) {
    const all = heads.map((head) => ({ ...head, odd: !agrees(head) }))
    store.putCheckpoints(copy.number, all)
    if (all.some(({ odd, size }) => odd && size <= copy.size)) report.contradiction = true
  }

  /** Every head from a size on, in pages. */
  async function readCheckpoints() {
    // A few that contradict the copy are enough, whatever an operator signs.
    let odd = 0
    for (let from = options.headsFrom ?? 1; ; ) {
      const path = `/log/checkpoints?from=${from}&limit=${pageHeads}`
      const page = await reader.read(path, { maxBytes: pageHeads * maxCheckpointBytes, signal })
      const parts = splitCheckpoints(page)
      const kept: KeptCheckpoint[] = []
      let last = from - 1
      for (const bytes of parts) {
        let head: { root: Uint8Array; shard: number; size: number; time: number }
        try {
          head = decodeCheckpoint(bytes)
        } catch {
          continue
        }
        const { root, shard, size, time } = head
        if (shard !== copy.shard || size < from) continue
        last = Math.max(last, size)
        // What agrees with the copy proves nothing against anyone, and is verified if it is needed.
        if (agrees(head)) kept.push({ bytes, odd: false, root, size, time, verified: false })
        else if (odd < maxOdd) {
          const other = await toHead(bytes)
          if (!other) continue
          kept.push(other)
          odd++
        }
      }
      keep(kept)
      for (const head of kept) bytes += head.bytes.length
      if (parts.length < pageHeads || last < from || odd >= maxOdd) return
      from = last + 1
      await setImmediate()
      signal?.throwIfAborted()
    }
  }

  /** Asks for the batches of all entries that were not asked for yet. */
  async function copyBatches() {
    let missing = 0
    let next = copy.copied < copy.size ? readPage(copy.copied) : undefined
    while (next) {
      const from = copy.copied
      const page = await next
      const to = from + page.length
      // The next page is on its way while this one is verified. It is waited for when its turn comes.
      next = to < copy.size ? readPage(to) : undefined
      next?.catch(() => {})
      const copied: CopiedBatch[] = []
      const holes: number[] = []
      const ids = copy.log.ids(from, to)
      for (const [i, batch] of page.entries()) {
        const id = ids.subarray(32 * i, 32 * i + 32)
        const found = batch && copyBatch(batch, { id, index: from + i, keyOf, network })
        if (found) copied.push(found)
        else holes.push(from + i)
        missing += found ? 0 : 1
        if (i % slice === slice - 1) {
          await setImmediate()
          signal?.throwIfAborted()
        }
      }
      copy.put(to, copied, holes)
      report.batches += copied.length
      for (const batch of copied) bytes += batch.bytes.length
      onProgress?.(to, copy.size)
    }
    if (missing > 0) report.problems.push(`The node does not give ${missing} batches of its log.`)
  }

  /** Batches from an index on, at least one of them; undefined in the place of what nobody can read. */
  async function readPage(from: number): Promise<(SignedBatch | undefined)[]> {
    if (bulk)
      try {
        const path = `/log/batches?from=${from}&to=${copy.size}`
        const bytes = await reader.read(path, { maxBytes: maxPageBytes, signal })
        const { batches, whole } = splitBatches(bytes, copy.size - from)
        return whole ? batches : [...batches, await readSingle(from + batches.length)]
      } catch (error) {
        const { status } = error as NodeRefusedError
        // A node that has no such path gives them one by one.
        if (status !== 404 && status !== 405) throw error
        bulk = false
      }
    const count = Math.min(singles, copy.size - from)
    return Promise.all(Array.from({ length: count }, (_, i) => readSingle(from + i)))
  }

  async function readSingle(index: number): Promise<SignedBatch | undefined> {
    try {
      return decodeBatch(
        await reader.read(`/log/batches/${index}`, { maxBytes: maxBatchBytes, signal }),
      )
    } catch (error) {
      if (stop.signal.aborted) throw error
      if (error instanceof BatchError) return undefined
      // A node that is overloaded, or starting, is not one that keeps batches back.
      if (!(error instanceof NodeRefusedError) || (isForNow(error) && ++delayed > maxDelayed))
        throw error
      return undefined
    }
  }

  /** Asks once more for what was not given, from anywhere on, so that what never comes hides nothing. */
  async function fillHoles() {
    const holes = copy.holes(copy.copied)
    const first = holes.length > 0 ? randomInt(holes.length) : 0
    let refused = 0
    for (const index of [...holes.slice(first), ...holes.slice(0, first)]) {
      const batch = await readSingle(index)
      const id = copy.log.id(index)
      const found = batch && copyBatch(batch, { id, index, keyOf, network })
      if (found) {
        copy.fill(found)
        bytes += found.bytes.length
        report.batches++
      } else if (++refused === maxRefused) return
    }
  }
}

/** Whether a node may well give later what it does not give now. */
function isForNow({ status }: NodeRefusedError): boolean {
  return status === undefined || status === 408 || status === 429 || status >= 500
}

/** Reads the entries [from, to) of a log, as far as the node gives them. @throws {NodeRefusedError} */
export async function readEntries(options: readEntries.Options): Promise<void> {
  const { onIds, reader, signal, to } = options
  for (let { from } = options; from < to; ) {
    const path = `/log/entries?from=${from}&to=${to}`
    const bytes = await reader.read(path, { maxBytes: maxIdBytes, signal })
    const usable = Math.min(bytes.length - (bytes.length % 32), 32 * (to - from))
    if (usable === 0) return
    onIds(bytes.subarray(0, usable))
    from += usable / 32
  }
}

export declare namespace readEntries {
  type Options = {
    from: number
    /** Told of entries as they come, 32 bytes each. */
    onIds: (ids: Uint8Array) => void
    reader: Pick<NodeReader, 'read'>
    signal?: AbortSignal | undefined
    to: number
  }
}

/** What an auditor keeps of a batch; undefined if it is not the one of the entry. */
export function copyBatch(batch: SignedBatch, options: copyBatch.Options): CopiedBatch | undefined {
  const { id, index, keyOf, network } = options
  const message = sigStructure(batch, network)
  if (!equalBytes(sha256(message), id)) return undefined
  const { algorithm, device, header, records, signature } = batch
  const publicKey = keyOf(device)
  // Rows that are not those of the header are as good as none; nobody needs those of a stranger.
  const isKept = records !== null && publicKey && equalBytes(sha256(records), header.recordsHash)
  return {
    bare: !isKept,
    bytes: isKept || records === null ? batch.bytes : encodeBatch({ ...batch, records: null }),
    device,
    end: header.start + header.span,
    id,
    index,
    schema: header.schema,
    seq: header.seq,
    signed: publicKey && verifySignatureSync({ algorithm, message, publicKey, signature }),
    start: header.start,
  }
}

export declare namespace copyBatch {
  type Options = {
    id: Uint8Array
    index: number
    keyOf: (device: Uint8Array) => Uint8Array | undefined
    network: Uint8Array
  }
}

export declare namespace syncLog {
  type Options = {
    copy: LogCopy
    /** Heads of smaller sizes are not asked for again. @default 1 */
    headsFrom?: number | undefined
    /** A member's key, X‖Y. */
    keyOf: (device: Uint8Array) => Uint8Array | undefined
    /** Of the operator. */
    logKeys: LogKeys
    /** Network id, 32 bytes. */
    network: Uint8Array
    onProgress?: ((batches: number, of: number) => void) | undefined
    /** How long a node may take for 64 KiB of what is needed. @default 60_000 */
    paceMs?: number | undefined
    /** Entries that this node gave before, with no head yet. */
    partial: PartialEntries
    /** Heads of this log that were posted, ascending. */
    posted?: readonly { root: Uint8Array; size: number }[] | undefined
    reader: NodeReader
    signal?: AbortSignal | undefined
    store: AuditStore
    /** How long it may take in all. @default as long as it gets on */
    turnMs?: number | undefined
  }
}

/** Entries from one node that no head covers yet: kept for the next time. */
export type PartialEntries = { from: number; parts: Uint8Array[]; size: number }

export type SyncReport = {
  /** Batches that were copied. */
  batches: number
  /** Whether the node showed a signed head that is not on the way of the copy. */
  contradiction: boolean
  /** Whether what it showed is no head of this log. */
  foreign: boolean
  /** What it did not do. */
  problems: string[]
  /** Entries of the copy. */
  size: number
}

/** Reads batches from the front of a CBOR sequence, until one is not readable. */
function splitBatches(page: Uint8Array, most: number): { batches: SignedBatch[]; whole: boolean } {
  const batches: SignedBatch[] = []
  for (let at = 0; at < page.length; ) {
    if (batches.length === most) return { batches, whole: true }
    try {
      const { batch, end } = readBatch(page, at)
      batches.push(batch)
      at = end
    } catch (error) {
      if (error instanceof BatchError) return { batches, whole: false }
      throw error
    }
  }
  return { batches, whole: batches.length > 0 }
}

/** Cuts a CBOR sequence of checkpoints, as far as it is one. */
function splitCheckpoints(page: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at + 4 < page.length; ) {
    // 18([ header: bstr, {}, root: bstr 32, signature: bstr 64 ])
    const long = page[at + 2] === 0x59
    const length = long ? (page[at + 3]! << 8) | page[at + 4]! : page[at + 3]!
    const end = at + (long ? 5 : 4) + length + 1 + 34 + 66
    if (end > page.length) break
    parts.push(page.subarray(at, end))
    at = end
  }
  return parts
}

/** Signatures that are checked in one go. */
const slice = 64
/** Of what was missing already, until a node is left alone for now. */
const maxDelayed = 16
const maxRefused = 16
/** Asked for at once, of a node that gives them one by one. */
const singles = 16
const maxBatchBytes = 66_000
/** An answer has 4 MiB at the most; the last batch may go beyond. */
const maxPageBytes = 4 * 2 ** 20 + maxBatchBytes
const maxIdBytes = 32 * 32_768
const maxCheckpointBytes = 1024
const pageHeads = 1000
/** Heads that contradict the copy, or go beyond it, in one go. */
const maxOdd = 16
/** The least that a node gives while its pace is looked at. */
const minBytes = 65_536
/** Of one log: its tree is in memory, 100 bytes an entry. */
export const maxEntries = 2 ** 24
