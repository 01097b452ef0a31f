import type { Hex } from 'viem'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Lets endorsements of a model count in a network, or no longer. Members stay. Only the
 * network's owner.
 *
 * @throws {ContractError} e.g. `NotNetworkOwner`.
 */
export async function acceptModel(
  client: AnyClient,
  parameters: acceptModel.Parameters,
): Promise<WriteResult> {
  const { accepted = true, model, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'acceptModel',
      args: [model, accepted],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace acceptModel {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'membership'>
    model: Hex
    /** @default true */
    accepted?: boolean | undefined
  }
}
