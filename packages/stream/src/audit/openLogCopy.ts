import { equalBytes, toHex } from '@machinefi/core'
import { createLog, type Log } from '@machinefi/proof'
import { DataDirectoryError } from '../errors.js'
import type { AuditStore, StoredLog } from './openAuditStore.js'

/**
 * Opens an auditor's own copy of one log: entries that a signed head covers,
 * and the batches behind them as far as they were given.
 *
 * The Merkle tree is in memory, about 100 bytes an entry; batches stay on disk.
 *
 * @throws {DataDirectoryError} the entries are not those that were kept.
 */
export function openLogCopy(store: AuditStore, operator: Uint8Array, shard: number): LogCopy {
  const stored: StoredLog = store.log(operator, shard)
  const { number } = stored
  let log = createLog(store.ids(number, stored.size))
  if (stored.size > 0 && !equalBytes(log.root(), stored.root))
    throw new DataDirectoryError('The copy of the log is not the one that was kept.', {
      kind: 'input',
      metaMessages: [
        `Operator: ${toHex(operator)}`,
        `Entries: ${stored.size}`,
        'Name an empty data directory: what was copied is copied again.',
      ],
    })
  return {
    number,
    operator,
    shard,
    get size() {
      return stored.size
    },
    get copied() {
      return stored.copied
    },
    get log() {
      return log
    },
    propose(ids) {
      for (let at = 0; at < ids.length; at += 32) log.append(ids.subarray(at, at + 32))
    },
    accept() {
      const { size } = stored
      if (log.size === size) return
      const root = log.root()
      // In parts, so that no single value is large.
      for (let from = size; from < log.size; from += partEntries) {
        const to = Math.min(log.size, from + partEntries)
        store.appendIds(number, from, log.ids(from, to), log.root(to))
      }
      stored.size = log.size
      stored.root = root
    },
    reject() {
      if (log.size > stored.size) log = createLog(store.ids(number, stored.size))
    },
    put(copied, batches, holes) {
      store.putBatches(number, copied, batches, holes)
      stored.copied = Math.max(stored.copied, copied)
    },
    holes: (size) => [
      ...store.holes(number, size),
      ...Array.from({ length: Math.max(0, size - stored.copied) }, (_, i) => stored.copied + i),
    ],
    batch: (index) => store.batch(number, index),
    fill: (batch) => store.fill(number, batch),
    overlapping: (size, schema, window) => store.overlapping(number, size, schema, window),
    setSigned: (index, signed) => store.setSigned(number, index, signed),
  }
}

const partEntries = 32_768

export type LogCopy = {
  /** In the store. */
  readonly number: number
  /** Whose log it is, 20 bytes. */
  readonly operator: Uint8Array
  readonly shard: number
  /** Entries that are kept: a head that the operator signed covers them. */
  readonly size: number
  /** Entries whose batches were asked for. */
  readonly copied: number
  /** The tree: of `size` entries, and of more while some are proposed. */
  readonly log: Log
  /** Adds entries for the time being. */
  propose(ids: Uint8Array): void
  /** Keeps the proposed entries: a signed head has their root. */
  accept(): void
  /** Forgets the proposed entries. */
  reject(): void
  /** Keeps batches: see `AuditStore.putBatches`. */
  put(copied: number, batches: Parameters<AuditStore['putBatches']>[2], holes: number[]): void
  /** Indexes below `size` whose batch is not known. */
  holes(size: number): number[]
  batch(index: number): ReturnType<AuditStore['batch']>
  fill(batch: Parameters<AuditStore['fill']>[1]): void
  overlapping(
    size: number,
    schema: number,
    window: { start: number; end: number },
  ): ReturnType<AuditStore['overlapping']>
  setSigned(index: number, signed: boolean): void
}
