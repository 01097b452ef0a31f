import { getAbiItem, type Hex } from 'viem'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Reads the ids of the models that a network accepts, by what its owner said in a range of blocks. */
export async function readAcceptedModels(
  client: AnyClient,
  parameters: readAcceptedModels.Parameters,
): Promise<Hex[]> {
  const { fromBlock, network, toBlock } = parameters
  const logs = await readEvents(client, {
    address: network.membership,
    event: modelAccepted,
    fromBlock,
    toBlock,
  })
  const accepted = new Set<Hex>()
  for (const { args } of logs) {
    if (args.accepted) accepted.add(args.model)
    else accepted.delete(args.model)
  }
  return [...accepted]
}

export declare namespace readAcceptedModels {
  type Parameters = BlockRange & { network: Pick<Network, 'membership'> }
}

const modelAccepted = getAbiItem({ abi: iMembershipAbi, name: 'ModelAccepted' })
