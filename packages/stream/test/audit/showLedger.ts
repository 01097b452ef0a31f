import { toHex } from '@machinefi/core'
import type { Entry } from '@machinefi/proof'
import type { Posted, Scene } from './openScene.js'

/** Shows a ledger as a node does. */
export function showLedger(
  t: Scene,
  { epoch, ledger }: Posted,
  entries: readonly (Entry | null)[],
) {
  t.door = (path, response) => {
    if (path !== `/epochs/${epoch.window}/ledger`) return undefined
    const shown = entries.flatMap((entry, slot) =>
      entry
        ? [
            {
              ...entry,
              cumulative: String(entry.cumulative),
              device: toHex(entry.device),
              slot,
              traceRoot: toHex(entry.traceRoot),
              value: String(entry.value),
            },
          ]
        : [],
    )
    response.end(JSON.stringify({ entries: shown, ledgerRoot: toHex(ledger.root) }))
    return true
  }
}
