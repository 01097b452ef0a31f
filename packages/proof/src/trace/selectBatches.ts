import { equalBytes } from '@machinefi/core'
import type { SignedBatch } from '@machinefi/telemetry'
import type { Window } from '../metrics/Metric.js'

/** A batch and its place in the logs of its network. */
export type LoggedBatch = {
  readonly batch: Pick<SignedBatch, 'device' | 'header' | 'records'>
  /** Batch id under the network, 32 bytes. */
  readonly id: Uint8Array
  readonly index: number
  readonly shard: number
}

/**
 * Whether a header overlaps a window: start < end of the window, and the last
 * row not before its start. Rows in the window imply it; it does not imply
 * rows in the window.
 */
export function isInWindow(header: { start: number; span: number }, window: Window): boolean {
  return header.start < window.end && header.start + header.span >= window.start
}

/**
 * Selects the batches of a device's canonical trace in a window: all that are
 * by the device, of the schema and overlap the window, in order of seq; of
 * several with one seq the one first in the logs, by (shard, index). Nothing
 * is left to choose (docs/protocol/claims.md).
 *
 * @param batches every batch in the logs' prefixes that may matter, each
 * signed by its device for the network; in any order.
 */
export function selectBatches<const batch extends LoggedBatch>(
  batches: Iterable<batch>,
  options: selectBatches.Options,
): batch[] {
  const { device, schema, window } = options
  const selected: batch[] = []
  for (const logged of batches) {
    const { batch } = logged
    if (batch.header.schema !== schema || !isInWindow(batch.header, window)) continue
    if (equalBytes(batch.device, device)) selected.push(logged)
  }
  selected.sort(
    (a, b) => a.batch.header.seq - b.batch.header.seq || a.shard - b.shard || a.index - b.index,
  )
  return selected.filter(
    (logged, i) => logged.batch.header.seq !== selected[i - 1]?.batch.header.seq,
  )
}

export declare namespace selectBatches {
  type Options = {
    /** 20 bytes. */
    device: Uint8Array
    /** Schema id. */
    schema: number
    window: Window
  }
}
