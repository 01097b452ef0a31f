import type { Address } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Lists an operator that may post when the named one does not, or takes it off
 * the list. Only the network's owner.
 */
export async function listOperator(
  client: AnyClient,
  parameters: listOperator.Parameters,
): Promise<WriteResult> {
  const { listed = true, network, operator } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'listOperator',
      args: [operator, listed],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace listOperator {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    operator: Address
    /** @default true */
    listed?: boolean | undefined
  }
}
