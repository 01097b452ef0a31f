import { fromHex, type Hex } from '@machinefi/core'
import { verifyInclusion } from '@machinefi/proof'
import { fetchNodeBytes } from '../node/fetchNode.js'
import type { GatheredClaim, NodeBatch } from './gatherClaim.js'

/**
 * Batches that are in the log an operator posted and belong to the claim, yet
 * are not in its trace. That they are in the log is proven here.
 */
export async function findLeftOut(
  { batches, claim, config, epoch }: GatheredClaim,
  options: { network: Hex; node: string },
): Promise<NodeBatch[]> {
  const log = epoch?.logs.find(({ shard }) => shard === 0)
  if (!claim || !log) return []
  const used = claim.batches
  const seqs = new Set(
    batches.filter(({ index }) => used.some((one) => one.index === index)).map(({ seq }) => seq),
  )
  const left: NodeBatch[] = []
  for (const batch of batches) {
    const { id, index, schema, seq } = batch
    if (seqs.has(seq) || index >= log.size || BigInt(schema) !== config.schema) continue
    const path = `/networks/${options.network}/log/inclusion?index=${index}&size=${log.size}`
    const proof = await fetchNodeBytes(options.node, path)
    const root = fromHex(log.root)
    if (verifyInclusion({ id: fromHex(id), index, proof, root, size: Number(log.size) }))
      left.push(batch)
  }
  return left
}
