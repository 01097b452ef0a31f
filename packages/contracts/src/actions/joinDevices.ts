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
 * Joins the account's own devices to a network, in adjacent slots.
 *
 * @throws {ContractError} e.g. `NotOwnerOfDevice`, `AlreadyMember`.
 */
export async function joinDevices(
  client: AnyClient,
  parameters: joinDevices.Parameters,
): Promise<WriteResult> {
  const { devices, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'join',
      args: [devices],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace joinDevices {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'membership'>
    devices: readonly Address[]
  }
}
