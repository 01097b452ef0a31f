import { BaseError } from '@machinefi/core'
import type { Row } from '@machinefi/telemetry'
import type { Problem, QueuedBatch, Transport } from '../transports/transport.js'

/**
 * Where a device keeps what is not delivered yet, and its place in the
 * sequence. A reading goes through it as row → reserved → batch → kept:
 *
 * | call | durable when it settles |
 * | --- | --- |
 * | `appendRow` | the row; `record()` resolves with it |
 * | `reserve` | "the oldest `count` rows are batch `seq`", before anything is signed: a seq is never used for two contents |
 * | `appendBatch` | the signed batch, in place of its rows |
 * | `deliver`, `remove` | nothing need be: a batch sent twice is the same batch |
 *
 * Calls may overlap, except that a `reserve` is followed by its `appendBatch`
 * before the next `reserve`. A call that failed changed nothing and may be
 * made again. A store that can do so answers at once, without a promise.
 */
export type Store = {
  /**
   * True where what is stored outlives the process. Only then does an empty store say that this is
   * a key's first run; elsewhere a batch of the run before may still be under way.
   */
  readonly lasting?: boolean
  /** Opens the store for one key in one network and returns what an earlier run left. */
  open(
    identity: Store.Identity,
    options?: Store.OpenOptions,
  ): Store.Contents | Promise<Store.Contents>
  /**
   * Takes a row, which is later than those before. Where there is no room, it is refused, or the
   * oldest batches that no node has are dropped for it: the store says which.
   *
   * @throws {StoreFullError} at once, and the row is not taken.
   */
  appendRow(row: Row): void | Promise<void>
  reserve(seq: number, count: number): void | Promise<void>
  appendBatch(batch: QueuedBatch): void | Promise<void>
  /** The oldest batches that are queued, or the newest, in the order of their seqs. */
  scan(limits: Store.Limits): readonly QueuedBatch[] | Promise<readonly QueuedBatch[]>
  /**
   * Takes batches out of the queue: their receipts were verified, and are among `deliveries`. They
   * are kept, within bounds.
   */
  deliver(seqs: readonly number[], deliveries?: readonly Transport.Delivery[]): void | Promise<void>
  /** Drops batches: their owner gave them up. */
  remove(seqs: readonly number[]): void | Promise<void>
  /**
   * Takes a batch out of the queue: the node will never take it. One that another node has is kept
   * as before.
   */
  refuse(seq: number, problem: Problem): void | Promise<void>
  refused(): readonly RefusedBatch[] | Promise<readonly RefusedBatch[]>
  /** The delivered batches that are kept, in the order of their seqs. */
  kept(): readonly Store.Place[]
  /** Queues refused or kept batches again. */
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
  type OpenOptions = {
    /** What the device sends with now. */
    getTransport?: (() => Transport) | undefined
    network?: Times | undefined
    /** Batches were dropped, undelivered, to make room for a reading. */
    onDropped?: ((batches: readonly DroppedBatch[]) => void) | undefined
  }
  /** Times of a network, ms: see `createDevice.Network`. */
  type Times = { readonly windowMs: number; readonly finalAfterMs?: number | undefined }
  type Contents = {
    /** First seq that was never reserved; `undefined` in a new store. */
    nextSeq: number | undefined
    /** Time of the newest row ever taken; `undefined` in a new store. */
    lastTime: number | undefined
    /** Rows that belong to no batch yet, oldest first. */
    rows: readonly Row[]
    /** Seqs reserved but not signed, with their rows, oldest first. */
    reserved: readonly { seq: number; rows: readonly Row[] }[]
  }
  type Limits = {
    maxBatches: number
    maxBytes: number
    /** Only seqs above this one. */
    above?: number | undefined
    /** The newest instead of the oldest. */
    newest?: boolean | undefined
    /** Seqs to leave out. */
    skip?: ReadonlySet<number> | undefined
  }
  /** What makes room for a reading when there is none. */
  type WhenFull = 'oldest' | 'reject'
  type Place = {
    readonly seq: number
    /** Time of the last row, ms. */
    readonly end: number
  }
  type Size = {
    /** Readings not signed yet. */
    rows: number
    /** Batches queued. */
    batches: number
    /** Readings that wait: not signed, or in a queued batch. */
    readings: number
    /** What counts against the store's bound: readings not signed, batches queued or refused. */
    bytes: number
    /** Batches that the node will never take. */
    refused: number
    /** Delivered batches that are kept, and the bytes of all that were delivered. */
    kept: number
    keptBytes: number
    /** Batches ever dropped to make room. */
    dropped: number
    /** The oldest batch in the queue. */
    oldest: Place | undefined
  }
}

/** A batch that was dropped, undelivered, to make room: its seq is a gap. */
export type DroppedBatch = Store.Place & {
  /** Readings in it. */
  readonly count: number
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

/** Batches that nobody has were dropped, since the store was full: told to one `flush`. */
export class DroppedError extends BaseError {
  override readonly name = 'DroppedError'
  readonly batches: readonly DroppedBatch[]
  constructor(batches: readonly DroppedBatch[]) {
    super('The store was full: batches were dropped.', { kind: 'transport' })
    this.batches = batches
  }
}

/** What a row counts for against a store's bound: what it takes in memory until it is signed. */
export function rowBytes(row: Row): number {
  return 96 + 8 * row.values.length
}
