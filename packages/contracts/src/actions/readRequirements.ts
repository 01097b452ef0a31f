import { type Assurance, assurances } from '../Assurance.js'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** What a device needs to join a network. */
export type Requirements = {
  /** Above `none`, a device needs the endorsement of a model that the network accepts. */
  leastAssurance: Assurance
  /** Wei for each device, of whoever sends the transaction. */
  joinFee: bigint
}

/** Reads what a device needs to join a network now. */
export async function readRequirements(
  client: AnyClient,
  parameters: readRequirements.Parameters,
): Promise<Requirements> {
  const { joinFee, leastAssurance } = await readContract(client, {
    abi: iMembershipAbi,
    address: parameters.network.membership,
    functionName: 'requirements',
  })
  return { joinFee, leastAssurance: assurances[leastAssurance]! }
}

export declare namespace readRequirements {
  type Parameters = { network: Pick<Network, 'membership'> }
}
