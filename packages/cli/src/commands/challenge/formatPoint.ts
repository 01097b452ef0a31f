import type { Point } from '@machinefi/contracts'
import { formatDid, toHex } from '@machinefi/core'

/** Where a challenge points, in a few words. */
export function formatPoint(point: Point): string {
  switch (point.kind) {
    case 'step':
      return `slot ${point.slot}, step ${point.step}`
    case 'carry':
      return `slot ${point.slot}, ${point.device ? formatDid(point.device) : 'no member'}`
    case 'omission':
      return `${formatDid(point.device)}, seq ${point.seq}, entry ${point.index} of log ${point.shard}`
    case 'consistency':
      return `log ${point.shard} at size ${point.size}`
    case 'reveal':
      return `node ${point.index} at height ${point.height}`
  }
}

/** What an operator has to show, as a sentence for a person. */
export function formatDemand(point: Point): string {
  switch (point.kind) {
    case 'step':
      return `Show batch ${point.step} of the trace in slot ${point.slot} with its rows, and that folding it gives the state the trace has; or that the trace is shorter.`
    case 'carry':
      return `Show slot ${point.slot} in this ledger and in the one before: the same device, and all it ever earned grown by what the window earned.`
    case 'omission':
      return `Show that the trace of ${formatDid(point.device)} has batch ${toHex(point.batchId)}, or an earlier one of the same seq.`
    case 'consistency':
      return `Show that the posted log ${point.shard} begins with the ${point.size} entries of the root ${toHex(point.root)}, which the operator signed or posted.`
    case 'reveal':
      return `Show the ledger’s nodes five levels below node ${point.index} at height ${point.height}.`
  }
}
