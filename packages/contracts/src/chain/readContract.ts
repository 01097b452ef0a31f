import type {
  Abi,
  Address,
  ContractFunctionArgs,
  ContractFunctionName,
  ContractFunctionReturnType,
} from 'viem'
import { readContract as read } from 'viem/actions'
import { toContractError } from '../errors.js'
import { toLowerCase } from './toLowerCase.js'
import type { AnyClient } from './writeContract.js'

/** viem's `readContract`, with the SDK's errors and addresses in lower case. */
export async function readContract<
  const abi extends Abi,
  functionName extends ContractFunctionName<abi, 'pure' | 'view'>,
  const args extends ContractFunctionArgs<abi, 'pure' | 'view', functionName>,
>(
  client: AnyClient,
  call: {
    abi: abi
    address: Address
    functionName: functionName
    args?: args
    blockNumber?: bigint | undefined
  },
): Promise<ContractFunctionReturnType<abi, 'pure' | 'view', functionName, args>> {
  try {
    return toLowerCase(await read(client, call as never)) as never
  } catch (error) {
    throw toContractError(error, call)
  }
}
