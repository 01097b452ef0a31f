import type { Address } from 'viem'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Names an account that may read, and challenge, all members of a private network, or takes the name
 * back. Only the network’s owner.
 *
 * @throws {ContractError} e.g. `NotNetworkOwner`.
 */
export async function nameAuditor(
  client: AnyClient,
  parameters: nameAuditor.Parameters,
): Promise<WriteResult> {
  const { auditor, named = true, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'nameAuditor',
      args: [auditor, named],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace nameAuditor {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'membership'>
    auditor: Address
    /** @default true */
    named?: boolean | undefined
  }
}
