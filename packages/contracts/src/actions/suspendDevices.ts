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
 * Suspends members for good: no window that ends later pays them. Only the network’s owner and its
 * disputes.
 *
 * @throws {ContractError} e.g. `NotSuspender`, `AlreadySuspended`.
 */
export async function suspendDevices(
  client: AnyClient,
  parameters: suspendDevices.Parameters,
): Promise<WriteResult> {
  const { devices, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'suspend',
      args: [devices],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace suspendDevices {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'membership'>
    devices: readonly Address[]
  }
}
