import { type Address, getAbiItem, type Hash } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Reads how often, and of how much, operators were slashed in a range of blocks, oldest first. */
export async function readSlashes(
  client: AnyClient,
  parameters: readSlashes.Parameters,
): Promise<readSlashes.ReturnType> {
  const { fromBlock, network, operator, toBlock } = parameters
  const logs = await readEvents(client, {
    address: network.settlement,
    ...(operator !== undefined && { args: { operator } }),
    event: slashed,
    fromBlock,
    toBlock,
  })
  return logs.map(({ args, blockNumber, transactionHash }) => ({
    ...args,
    blockNumber,
    transactionHash,
  }))
}

export declare namespace readSlashes {
  type Parameters = BlockRange & {
    network: Pick<Network, 'settlement'>
    /** Only of this one. */
    operator?: Address | undefined
  }
  type ReturnType = {
    operator: Address
    /** Wei. */
    burned: bigint
    /** Wei, to whoever showed the fraud. */
    paid: bigint
    blockNumber: bigint
    transactionHash: Hash
  }[]
}

const slashed = getAbiItem({ abi: iSettlementAbi, name: 'Slashed' })
