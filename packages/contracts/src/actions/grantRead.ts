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
 * Lets somebody read the account's own devices of a private network, as the account may itself, until
 * a time. It ends with that time, with another grant to the same account, and when a device gets
 * another owner.
 *
 * @throws {ContractError} e.g. `NotOwnerOfDevice`.
 */
export async function grantRead(
  client: AnyClient,
  parameters: grantRead.Parameters,
): Promise<WriteResult> {
  const { devices, grantee, network, until } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'grantRead',
      args: [devices, grantee, BigInt(until)],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace grantRead {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'membership'>
    devices: readonly Address[]
    grantee: Address
    /** Unix seconds, not included; 0 takes the grant back. */
    until: number
  }
}
