import type { Address } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesOf } from '../chain/disputesCall.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Reads what disputes owe an account, in wei. */
export async function readCredit(
  client: AnyClient,
  parameters: readCredit.Parameters,
): Promise<bigint> {
  const { account, network } = parameters
  return readContract(client, {
    abi: iDisputesAbi,
    address: disputesOf(network),
    functionName: 'credit',
    args: [account],
  })
}

export declare namespace readCredit {
  type Parameters = { network: Pick<Network, 'disputes'>; account: Address }
}
