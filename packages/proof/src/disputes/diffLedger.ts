import { equalBytes } from '@machinefi/core'
import type { Ledger, LedgerHead } from '../ledger/buildLedger.js'
import { revealedLevels } from '../ledger/buildLedger.js'
import { nodeBytes, readSum } from '../ledger/Entry.js'
import type { Fault } from './diffClaim.js'

/**
 * Finds the slots in which a posted ledger is not the one that I computed,
 * without its entries: from the root down along the nodes that differ, five
 * levels with each that is revealed. Where the next ones are not known yet,
 * the challenges that ask for them, the one that hides most first: ⌈depth ÷ 5⌉
 * rounds lead to a slot.
 *
 * @param parameters.mine of the posted depth.
 */
export function diffLedger(parameters: diffLedger.Parameters): diffLedger.Difference {
  const { mine, posted, revealed = [] } = parameters
  const { depth, root, total } = posted
  const known = new Map(revealed.map((each) => [`${each.height}/${each.index}`, each.nodes]))
  const faults: { excess: bigint; fault: Fault }[] = []
  const slots: { excess: bigint; slot: number }[] = []

  if (equalBytes(root, mine.root)) {
    if (total === mine.total) return { faults: [], slots: [] }
    // No path leads to a total that is not the sum: nothing can be answered any more.
    const text = `The total is ${total}, and the ledger adds up to ${mine.total}.`
    const remedy = { kind: 'step', slot: 0, step: 0 } as const
    return { faults: [{ certain: true, remedy, text, why: 'inflated-total' }], slots: [] }
  }

  const pending = [{ excess: total - mine.total, height: depth, index: 0 }]
  for (let next = pending.shift(); next; next = pending.shift()) {
    const { excess, height, index } = next
    if (height === 0) {
      slots.push({ excess, slot: index })
      continue
    }
    const nodes = known.get(`${height}/${index}`)
    if (nodes === undefined) {
      const text = `Node ${index} at height ${height} of the ledger is not the one that follows from the log.`
      const remedy = { kind: 'reveal', height, index } as const
      faults.push({ excess, fault: { certain: false, remedy, text, why: 'unknown-entry' } })
      continue
    }
    const below = Math.min(revealedLevels, height)
    for (let i = 0; i < 2 ** below; i++) {
      const offset = nodeBytes * i
      const own = mine.node(height - below, index * 2 ** below + i)
      const sum = readSum(nodes, offset)
      if (sum === own.sum && equalBytes(nodes.subarray(offset, offset + 32), own.hash)) continue
      pending.push({ excess: sum - own.sum, height: height - below, index: index * 2 ** below + i })
    }
  }
  const most = (a: { excess: bigint }, b: { excess: bigint }) =>
    a.excess === b.excess ? 0 : a.excess > b.excess ? -1 : 1
  return {
    faults: faults.sort(most).map(({ fault }) => fault),
    slots: slots.sort(most).map(({ slot }) => slot),
  }
}

export declare namespace diffLedger {
  type Parameters = {
    /** What follows from the log. */
    mine: Pick<Ledger, 'node' | 'root' | 'total'>
    posted: LedgerHead
    /** What was shown of the posted ledger: `Revealed` events, or what {@link verifyRevealed} holds for. */
    revealed?:
      | readonly { readonly height: number; readonly index: number; readonly nodes: Uint8Array }[]
      | undefined
  }
  type Difference = {
    faults: Fault[]
    /** Slots whose entry is not mine, the one that has most too much first. */
    slots: number[]
  }
}
