import type { Address } from 'viem'
import { iDeviceRegistryAbi } from '../abis/iDeviceRegistryAbi.js'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Reads since when an account may read a device: what was recorded at that time or later, by the word
 * of the network’s membership. 0 in a public network, and for an auditor; for the owner, and whom it
 * granted to read, the time it got the device from another.
 *
 * @returns Unix seconds; null if the account may read nothing of the device. Without a device, null for
 *   everyone who may not read all of them.
 */
export async function readAccess(
  client: AnyClient,
  parameters: readAccess.Parameters,
): Promise<number | null> {
  const { account, device, network } = parameters
  if (!network.isPrivate) return 0
  const isAuditor = readContract(client, {
    abi: iMembershipAbi,
    address: network.membership,
    functionName: 'isAuditor',
    args: [account],
  })
  const since = device === null ? null : readSince(client, { account, device, network })
  const [all, some] = await Promise.all([isAuditor, since])
  return all ? 0 : some
}

export declare namespace readAccess {
  type Parameters = {
    account: Address
    /** null for all of them. */
    device: Address | null
    network: Pick<Network, 'isPrivate' | 'membership' | 'registry'>
  }
}

async function readSince(
  client: AnyClient,
  { account, device, network }: readAccess.Parameters & { device: Address },
): Promise<number | null> {
  const since = await readContract(client, {
    abi: iDeviceRegistryAbi,
    address: network.registry,
    functionName: 'ownedSince',
    args: [device],
  })
  // One after the other: for an owner of meanwhile this time is too early, and the answer no.
  const mayRead = await readContract(client, {
    abi: iMembershipAbi,
    address: network.membership,
    functionName: 'mayRead',
    args: [account, device, since],
  })
  return mayRead ? Number(since) : null
}
