import { assurances } from '../Assurance.js'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { InvalidArgumentError } from '../errors.js'
import type { Network } from '../Network.js'
import type { Requirements } from './readRequirements.js'

/**
 * Sets what devices need to join from now on. Members stay. Only the network's owner.
 *
 * @throws {ContractError} e.g. `NotNetworkOwner`.
 */
export async function setRequirements(
  client: AnyClient,
  parameters: setRequirements.Parameters,
): Promise<WriteResult> {
  const { joinFee, leastAssurance, network } = parameters
  if (joinFee < 0n || joinFee >= 1n << 96n)
    throw new InvalidArgumentError(`A join fee is 0 … 2^96 − 1 wei, not ${joinFee}.`)
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'setRequirements',
      args: [{ joinFee, leastAssurance: assurances.indexOf(leastAssurance) }],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace setRequirements {
  type Parameters = WriteOptions & Requirements & { network: Pick<Network, 'membership'> }
}
