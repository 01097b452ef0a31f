import { type Address, concat, getAbiItem, type Hex } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** An operator of a network. */
export type Operator = {
  address: Address
  /** Short name in epochs; 0 if it was never listed. */
  id: number
  /** Wei, without what is leaving. Can be slashed. */
  bond: bigint
  /** Whether it may post in the place of the named operator. */
  listed: boolean
  /** Wei, requested to be withdrawn. Can still be slashed. */
  leaving: bigint
  /** Unix seconds from which on it can be withdrawn. */
  leavesAt: number
  /** The window that must be final before. */
  leavesAfter: number
  /** Address of the key that signs its checkpoints; zero if it never bonded. */
  logKeyAddress: Address
  /** X‖Y of that key; undefined if it never bonded, or not in the range of blocks. */
  logKey: Hex | undefined
}

/** Reads an operator's money and key. */
export async function readOperator(
  client: AnyClient,
  parameters: readOperator.Parameters,
): Promise<Operator> {
  const { fromBlock, network, operator, toBlock } = parameters
  const address = network.settlement
  const [{ leavesAt, logKey, ...stored }, bonded] = await Promise.all([
    readContract(client, {
      abi: iSettlementAbi,
      address,
      functionName: 'operator',
      args: [operator],
    }),
    readEvents(client, { address, args: { operator }, event: bondedEvent, fromBlock, toBlock }),
  ])
  const key = bonded.at(-1)?.args
  return {
    address: toLowerCase(operator),
    ...stored,
    leavesAt: Number(leavesAt),
    logKey: key && concat([key.x, key.y]),
    logKeyAddress: logKey,
  }
}

export declare namespace readOperator {
  type Parameters = BlockRange & { network: Pick<Network, 'settlement'>; operator: Address }
}

const bondedEvent = getAbiItem({ abi: iSettlementAbi, name: 'Bonded' })
