import type { redeem } from '@machinefi/contracts'
import { BaseError, fromHex, type Hex, toHex } from '@machinefi/core'
import { buildLedger, type Entry, type Ledger } from '@machinefi/proof'
import { fetchNode, type NodeAddress } from './fetchNode.js'

/** A ledger as `GET …/epochs/{window}/ledger` describes it; bigints are decimal strings. */
export type NodeLedger = {
  window: number
  name: string
  depth: number
  epochHash: Hex
  ledgerRoot: Hex
  ledgerTotal: string
  /** ABI-encoded. */
  config: Hex
  entries: NodeClaim[]
}

export type NodeClaim = {
  device: Hex
  did: string
  slot: number
  paid: boolean
  value: string
  reward: string
  cumulative: string
  steps: number
  traceRoot: Hex
}

export async function fetchLedger(
  node: string | NodeAddress,
  network: string,
  window: number,
): Promise<NodeLedger> {
  return fetchNode(node, `/networks/${network}/epochs/${window}/ledger`)
}

/** The redemption of one device, by its own path: what its owner may read in a private network. */
export async function fetchRedemption(
  node: NodeAddress,
  network: string,
  window: number,
  device: string,
): Promise<redeem.Redemption> {
  const path = `/networks/${network}/epochs/${window}/claims/${device}`
  const claim = await fetchNode<NodeClaim & { proof: Hex }>(node, path)
  const { cumulative, device: address, proof, slot, steps, traceRoot, value } = claim
  return {
    entries: [
      {
        cumulative: BigInt(cumulative),
        device: address,
        steps,
        traceRoot,
        value: BigInt(value),
      },
    ],
    siblings: proof,
    slot,
  }
}

/**
 * Redemptions of some slots of a ledger, those in a row with one shared path.
 * The ledger is rebuilt here, and refused unless it has the root that was posted.
 */
export function buildRedemptions(
  source: NodeLedger,
  slots: readonly number[],
): redeem.Redemption[] {
  const ledger = toLedger(source)
  const sorted = [...new Set(slots)].sort((a, b) => a - b)
  const runs: { from: number; count: number }[] = []
  for (const slot of sorted) {
    const run = runs.at(-1)
    if (run && slot === run.from + run.count) run.count++
    else runs.push({ count: 1, from: slot })
  }
  return runs.map(({ count, from }) => {
    const { entries, siblings, slot } = ledger.fleetProof(from, count)
    return {
      entries: entries.map((entry) =>
        entry === null
          ? null
          : { ...entry, device: toHex(entry.device), traceRoot: toHex(entry.traceRoot) },
      ),
      siblings: toHex(siblings),
      slot,
    }
  })
}

export function toLedger({ depth, entries, ledgerRoot }: NodeLedger): Ledger {
  const slots: (Entry | null)[] = []
  for (const entry of entries) {
    if (!(entry.slot >= 0 && entry.slot < 2 ** depth && entry.slot < 2 ** 32))
      throw new LedgerSlotError(entry.slot, depth)
    while (slots.length <= entry.slot) slots.push(null)
    slots[entry.slot] = {
      cumulative: BigInt(entry.cumulative),
      device: fromHex(entry.device),
      steps: entry.steps,
      traceRoot: fromHex(entry.traceRoot),
      value: BigInt(entry.value),
    }
  }
  const ledger = buildLedger(slots, { depth })
  if (toHex(ledger.root) !== ledgerRoot)
    throw new LedgerMismatchError(toHex(ledger.root), ledgerRoot)
  return ledger
}

export class LedgerSlotError extends BaseError {
  override readonly name = 'LedgerSlotError'
  constructor(slot: number, depth: number) {
    super(`The node’s ledger has an entry in slot ${slot}, beyond its depth of ${depth}.`, {
      kind: 'integrity',
    })
  }
}

export class LedgerMismatchError extends BaseError {
  override readonly name = 'LedgerMismatchError'
  constructor(built: Hex, posted: Hex) {
    super('The node’s entries do not give the ledger root it names.', {
      kind: 'integrity',
      metaMessages: [`From the entries: ${built}`, `Named: ${posted}`],
    })
  }
}
