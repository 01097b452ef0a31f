import type { BaseError } from '@machinefi/core'

/** A signed batch on its way. */
export type QueuedBatch = {
  readonly seq: number
  /** Batch id, 32 bytes: what the log has as its entry. */
  readonly id: Uint8Array
  readonly bytes: Uint8Array
  /** Time of the last row, ms. */
  readonly end: number
}

/**
 * Carries batches to a node. One contract for all of them: a batch is
 * `delivered` only when a receipt for it was verified, whatever the wire
 * acknowledged.
 *
 * `send` answers for each batch, in order. It rejects with a {@link BaseError}
 * when nothing is known of any: kind `transport` is tried again; any other
 * kind too, but whoever waits in `flush` is told at once.
 */
export type Transport = {
  /** The most batches one `send` takes. */
  readonly maxBatches: number
  send(
    batches: readonly QueuedBatch[],
    context: Transport.Context,
  ): Promise<readonly Transport.Delivery[]>
  /** The next seq the node expects of a device: 0 if it has none of its batches. */
  readNextSeq?(parameters: Transport.ReadNextSeq): Promise<number>
}

export declare namespace Transport {
  type Context = {
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** The device's clock, ms: receipts dated after it promise nothing. */
    clock: () => number
    /** Aborted when the device is closed. */
    signal: AbortSignal
  }
  type Delivery =
    /** In the log: the receipt was verified. */
    | { status: 'delivered'; receipt: Uint8Array; index: number }
    /** The node says no. `final`: it will never say yes, so it is not asked again. */
    | { status: 'refused'; problem: Problem; final: boolean }
    /** Not known to be in the log, send again: overload (`transport`) or a receipt that is wrong (`integrity`). */
    | { status: 'failed'; error: BaseError }
  type ReadNextSeq = { network: Uint8Array; device: Uint8Array; signal?: AbortSignal | undefined }
}

/** Why a node said no: an RFC 9457 problem. */
export type Problem = {
  readonly status: number
  readonly type: string
  readonly title: string
  readonly detail?: string
}
