import type { Member } from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { ledgerDepth, selectBatches } from '@machinefi/proof'
import type { Hex } from 'viem'
import { fetchLedger } from '../node/buildRedemptions.js'
import { readLogBook } from './LogBook.js'
import { foldSteps, type Rules, retrace, type Story, type ToldClaim } from './Story.js'

/**
 * What an honest operator would post for a window: computed from the log of a node and the ledger
 * it posted for the window before, by the rules of docs/protocol/claims.md and nothing else.
 */
export async function readTruth(options: readTruth.Options): Promise<Story> {
  const { members, network, node, rules, window } = options
  const { span } = rules
  const log = await readLogBook(node, network)
  const parent = await fetchLedger(node, network, window - 1)
  const logged = log.entries.map((entry, index) => ({ ...entry, index, shard: 0 }))
  const claims = members.map(({ algorithm, joinedAt, slot, suspendedAt, ...member }) => {
    const device = fromHex(member.device)
    const entry = parent.entries.find((entry) => entry.slot === slot)
    const before = BigInt(entry?.cumulative ?? 0)
    const paid =
      joinedAt * 1000 < span.start && (suspendedAt === 0 || suspendedAt * 1000 >= span.end)
    const claim: ToldClaim = {
      ...{ algorithm, before, device, paid },
      cumulative: before,
      publicKey: fromHex(member.publicKey),
      steps: [],
      value: 0n,
    }
    if (!paid) return entry ? claim : null
    const batches = selectBatches(logged, { device, schema: rules.schema.id, window: span })
    return retrace(claim, foldSteps(batches, rules), rules)
  })
  return { claims, depth: ledgerDepth(members.length), log, window }
}

export declare namespace readTruth {
  type Options = {
    /** In order of slots. */
    members: readonly Member[]
    network: Hex
    /** URL of the node. */
    node: string
    rules: Rules
    window: number
  }
}
