import {
  type Address,
  type ContractFunctionArgs,
  type ContractFunctionName,
  zeroAddress,
} from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { InvalidArgumentError } from '../errors.js'
import type { Network } from '../Network.js'

type Name = ContractFunctionName<typeof iDisputesAbi, 'nonpayable' | 'payable'>

/**
 * A call of a network's disputes. Arguments are checked against the ABI here, so that calls of
 * different functions can be one value.
 *
 * @throws {InvalidArgumentError} if the network has none.
 */
export function disputesCall<const name extends Name>(
  network: Pick<Network, 'disputes'>,
  functionName: name,
  args: ContractFunctionArgs<typeof iDisputesAbi, 'nonpayable' | 'payable', name>,
) {
  const address = disputesOf(network)
  return { abi: iDisputesAbi, address, args: args as never, functionName: functionName as Name }
}

/** Where a network's disputes are: what calls the zero address succeeds, and does nothing. */
export function disputesOf({ disputes }: Pick<Network, 'disputes'>): Address {
  if (disputes !== zeroAddress) return disputes
  throw new InvalidArgumentError('The network is attested: nobody can challenge its epochs.')
}
