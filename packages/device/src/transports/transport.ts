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
  /** What the node says of a device. */
  readDevice?(parameters: Transport.ReadDevice): Promise<Transport.DeviceState>
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
  type ReadDevice = { network: Uint8Array; device: Uint8Array; signal?: AbortSignal | undefined }
  type DeviceState = {
    /** The next seq it expects: 0 if it has none of the device's batches. */
    readonly nextSeq: number
    /**
     * The windows of the network that end by then are final, ms. Nothing that the node can prove, and
     * not checked, be it a number at all.
     */
    readonly finalBefore?: unknown
  }
}

/** Why a node said no: an RFC 9457 problem. */
export type Problem = {
  readonly status: number
  readonly type: string
  readonly title: string
  readonly detail?: string
}
