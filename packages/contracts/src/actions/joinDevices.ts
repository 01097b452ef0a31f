import type { Address } from 'viem'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { type Endorsement, proveEndorsement } from '../Endorsement.js'
import type { Network } from '../Network.js'
import { readRequirements } from './readRequirements.js'

/**
 * Joins the account's own devices to a network, in adjacent slots, and pays the network's fee
 * for each. What a device joins without an endorsement stays without: the assurance of a member
 * never changes.
 *
 * With an endorsement the slots are in the order of the proof, not in that of `devices`.
 *
 * @throws {ContractError} e.g. `NotOwnerOfDevice`, `AlreadyMember`, `AssuranceTooLow`,
 * `ModelNotAccepted`, `NotEndorsed`.
 * @throws {NotInRunError}
 */
export async function joinDevices(
  client: AnyClient,
  parameters: joinDevices.Parameters,
): Promise<WriteResult> {
  const { devices, endorsement, network } = parameters
  const to = { abi: iMembershipAbi, address: network.membership } as const
  const proven = endorsement && proveEndorsement(endorsement, devices)
  const { joinFee = (await readRequirements(client, { network })).joinFee } = parameters
  const value = joinFee * BigInt(devices.length)
  const { hash, receipt } = await (proven
    ? writeContract(
        client,
        {
          ...to,
          functionName: 'joinEndorsed',
          args: [proven.devices, proven.endorsement],
          value,
        },
        parameters,
      )
    : writeContract(client, { ...to, functionName: 'join', args: [devices], value }, parameters))
  return { hash, receipt }
}

export declare namespace joinDevices {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'membership'>
    /** As many as one transaction holds: some 300. */
    devices: readonly Address[]
    /** That all of them are of a run of a model. @default nobody vouches for them */
    endorsement?: Endorsement | undefined
    /** Wei for each device. @default what the network asks for now */
    joinFee?: bigint | undefined
  }
}
