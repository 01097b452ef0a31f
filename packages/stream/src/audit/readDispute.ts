import {
  type AnyClient,
  type Network,
  readChallenges,
  readRevealed,
  readShownEntries,
  readShownLeaves,
} from '@machinefi/contracts'
import type { Entry, TraceLeaf } from '@machinefi/proof'

/**
 * Reads what was disputed of an epoch, and what the answers showed: all of it
 * from events, so that it is there whichever contract an answer came through.
 * The contract has verified it: it is evidence, whoever gave it.
 */
export async function readDispute(
  client: AnyClient,
  options: readDispute.Options,
): Promise<Dispute> {
  const { attempt, fromBlock, network, window } = options
  const range = { attempt, fromBlock, network, window }
  const challenges = (await readChallenges(client, { fromBlock, network, window })).filter(
    (challenge) => challenge.attempt === attempt,
  )
  if (!challenges.some(({ status }) => status === 'answered'))
    return { challenges, entries: new Map(), leaves: new Map(), revealed: [] }
  const [revealed, entries, shown] = await Promise.all([
    readRevealed(client, range),
    readShownEntries(client, range),
    readShownLeaves(client, range),
  ])
  const leaves: Dispute['leaves'] = new Map()
  for (const { leaf, slot, step } of shown)
    leaves.set(slot, (leaves.get(slot) ?? new Map()).set(step, leaf))
  return {
    challenges,
    entries: new Map(entries.map(({ entry, slot }) => [slot, entry])),
    leaves,
    revealed,
  }
}

export declare namespace readDispute {
  type Options = {
    attempt: number
    /** The block of the posting. */
    fromBlock: bigint
    network: Network
    window: number
  }
}

export type Dispute = {
  challenges: readChallenges.ReturnType
  /** Entries that answers showed, by slot. */
  entries: Map<number, Entry | null>
  /** Leaves of traces that answers showed, by slot and step. */
  leaves: Map<number, Map<number, TraceLeaf>>
  revealed: { height: number; index: number; nodes: Uint8Array }[]
}
