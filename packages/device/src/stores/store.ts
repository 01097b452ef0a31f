import { BaseError } from '@machinefi/core'
import type { Row } from '@machinefi/telemetry'
import type { Problem, QueuedBatch } from '../transports/transport.js'

/**
 * Where a device keeps what is not delivered yet, and its place in the
 * sequence. A reading goes through it as row → reserved → batch → removed:
 *
 * | call | durable when it settles |
 * | --- | --- |
 * | `appendRow` | the row; `record()` resolves with it |
 * | `reserve` | "the oldest `count` rows are batch `seq`", before anything is signed: a seq is never used for two contents |
 * | `appendBatch` | the signed batch, in place of its rows |
 * | `remove` | nothing need be: a batch sent twice is the same batch |
 *
 * Calls may overlap, except that a `reserve` is followed by its `appendBatch`
 * before the next `reserve`. A store that can do so answers at once, without a
 * promise.
 */
export type Store = {
  /**
   * True where what is stored outlives the process. Only then does an empty store say that this is
   * a key's first run; elsewhere a batch of the run before may still be under way.
   */
  readonly lasting?: boolean
  /** Opens the store for one key in one network and returns what an earlier run left. */
  open(identity: Store.Identity): Store.Contents | Promise<Store.Contents>
  /** @throws {StoreFullError} at once, and the row is not taken. */
  appendRow(row: Row): void | Promise<void>
  reserve(seq: number, count: number): void | Promise<void>
  appendBatch(batch: QueuedBatch): void | Promise<void>
  /** The oldest batches that are queued: not removed, not refused. */
  scan(limits: Store.Limits): readonly QueuedBatch[] | Promise<readonly QueuedBatch[]>
  /** Drops batches: their receipts were verified, or their owner gave them up. */
  remove(seqs: readonly number[]): void | Promise<void>
  /** Keeps a batch, but no longer in the queue: the node will never take it. */
  refuse(seq: number, problem: Problem): void | Promise<void>
  refused(): readonly RefusedBatch[] | Promise<readonly RefusedBatch[]>
  /** Queues refused batches again. */
  requeue(seqs: readonly number[]): void | Promise<void>
  /** Takes the time of the newest row back to this, durably: what is later was of a wrong clock. */
  rewind(lastTime: number): void | Promise<void>
  size(): Store.Size
  close(): void | Promise<void>
}

export declare namespace Store {
  type Identity = {
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** Device address, 20 bytes. */
    device: Uint8Array
    schema: number
    fields: number
  }
  type Contents = {
    /** First seq that was never reserved; `undefined` in a new store. */
    nextSeq: number | undefined
    /** Time of the newest row ever taken; `undefined` in a new store. */
    lastTime: number | undefined
    /** Rows that belong to no batch yet, oldest first. */
    rows: readonly Row[]
    /** Seqs reserved but not signed, with their rows, oldest first. */
    reserved: readonly { seq: number; rows: readonly Row[] }[]
    /** Seqs of the queued batches, oldest first. */
    queued: readonly number[]
  }
  type Limits = {
    maxBatches: number
    maxBytes: number
    /** Seqs to leave out. */
    skip?: ReadonlySet<number> | undefined
  }
  type Size = { rows: number; batches: number; refused: number; bytes: number }
}

export type RefusedBatch = QueuedBatch & { readonly problem: Problem }

/** The store has no room for another reading: nothing gets through to the node. */
export class StoreFullError extends BaseError {
  override readonly name = 'StoreFullError'
  constructor(maxBytes: number) {
    super(`The store is full: ${maxBytes} bytes wait for delivery.`, {
      kind: 'transport',
      metaMessages: ['The reading was not taken.'],
    })
  }
}

/** What a row counts for against a store's bound: its time, its length, 8 bytes a value. */
export function rowBytes(row: Row): number {
  return 9 + 8 * row.values.length
}
