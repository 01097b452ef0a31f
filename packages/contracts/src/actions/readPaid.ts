import type { Address } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Reads what was minted for a device so far, to all its owners. */
export function readPaid(client: AnyClient, parameters: readPaid.Parameters): Promise<bigint> {
  const { device, network } = parameters
  return readContract(client, {
    abi: iSettlementAbi,
    address: network.settlement,
    functionName: 'paid',
    args: [device],
  })
}

export declare namespace readPaid {
  type Parameters = { network: Pick<Network, 'settlement'>; device: Address }
}
