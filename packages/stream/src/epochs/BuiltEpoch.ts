import { equalBytes, fromHex, toHex } from '@machinefi/core'
import { buildLedger, type Entry, type LogHead } from '@machinefi/proof'
import type { ChainConfig, PostedEpoch } from '../chain/chain.js'
import { EpochConflictError } from '../errors.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { BuiltEpoch, Claim, Posted } from './openEpochStore.js'

/** What stands before a network's first window. */
export const noParent = toHex(new Uint8Array(32))

export function logHeads(epoch: Pick<BuiltEpoch, 'logRoot' | 'size'>): LogHead[] {
  return epoch.size === 0 ? [] : [{ shard: 0, size: epoch.size, root: fromHex(epoch.logRoot) }]
}

export function bySlot(claims: readonly Claim[]): (Claim | null)[] {
  const slots: (Claim | null)[] = []
  for (const claim of claims) {
    while (slots.length < claim.slot) slots.push(null)
    slots.push(claim)
  }
  return slots
}

export function toEntry(claim: Claim | null): Entry | null {
  if (!claim) return null
  const { cumulative, device, steps, traceRoot, value } = claim
  return { cumulative, device, steps, traceRoot, value }
}

/** What an epoch keeps of the rules of its window. */
export function toRules(config: ChainConfig) {
  const { bytes, cap, hash, metric, rate, schema, threshold } = config
  return { config: toHex(bytes), configHash: hash, schema, metric, threshold, rate, cap }
}

/** What the store keeps of a posting, beside what was built. */
export function toKept(posted: PostedEpoch): Posted {
  const { block, challengeEndsAt, epochHash, gasUsed, memberCount, operator, transaction } = posted
  const logs = posted.logs.map(({ root, shard, size }) => ({ shard, size, root: toHex(root) }))
  return { block, challengeEndsAt, epochHash, gasUsed, logs, memberCount, operator, transaction }
}

/** Whether an epoch on chain is one that was built here, to the last number. */
export function isSame(epoch: BuiltEpoch, posted: PostedEpoch): boolean {
  const logs = logHeads(epoch)
  return (
    posted.attempt === epoch.attempt &&
    posted.parentHash === epoch.parentHash &&
    posted.depth === epoch.depth &&
    posted.ledgerTotal === epoch.ledgerTotal &&
    toHex(posted.ledgerRoot) === epoch.ledgerRoot &&
    posted.logs.length === logs.length &&
    posted.logs.every(
      (log, i) =>
        log.shard === logs[i]!.shard &&
        log.size === logs[i]!.size &&
        equalBytes(log.root, logs[i]!.root),
    )
  )
}

/** The operator's account has posted what this node has not built. */
export function conflict(
  { network }: OpenNetwork,
  posted: PostedEpoch,
  epoch: BuiltEpoch | undefined,
): EpochConflictError {
  return new EpochConflictError(
    `Window ${posted.window} is on chain with another log or ledger than this node has.`,
    {
      metaMessages: [
        `Network: ${network.id}`,
        `Posted by: ${posted.operator} in ${posted.transaction}`,
        `Ledger on chain: ${toHex(posted.ledgerRoot)}, total ${posted.ledgerTotal}`,
        ...(epoch ? [`Ledger here: ${epoch.ledgerRoot}, total ${epoch.ledgerTotal}`] : []),
      ],
    },
  )
}

/** Whether entries are those that an epoch on chain commits to. */
export function isLedgerOf(
  posted: Pick<PostedEpoch, 'depth' | 'ledgerRoot' | 'ledgerTotal'>,
  entries: readonly (Entry | null)[],
): boolean {
  try {
    const ledger = buildLedger(entries, { depth: posted.depth })
    return ledger.total === posted.ledgerTotal && equalBytes(ledger.root, posted.ledgerRoot)
  } catch {
    // More entries than slots, a sum out of bounds: no ledger at all.
    return false
  }
}
