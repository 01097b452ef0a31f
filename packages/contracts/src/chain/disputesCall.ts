import type { ContractFunctionArgs, ContractFunctionName } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import type { Network } from '../Network.js'

type Name = ContractFunctionName<typeof iDisputesAbi, 'nonpayable' | 'payable'>

/**
 * A call of a network's disputes. Arguments are checked against the ABI here, so that calls of
 * different functions can be one value.
 */
export function disputesCall<const name extends Name>(
  network: Pick<Network, 'disputes'>,
  functionName: name,
  args: ContractFunctionArgs<typeof iDisputesAbi, 'nonpayable' | 'payable', name>,
) {
  const address = network.disputes
  return { abi: iDisputesAbi, address, args: args as never, functionName: functionName as Name }
}
