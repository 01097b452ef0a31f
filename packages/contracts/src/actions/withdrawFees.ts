import { type Address, parseEventLogs } from 'viem'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Sends all join fees to the network's owner. Anyone may. */
export async function withdrawFees(
  client: AnyClient,
  parameters: withdrawFees.Parameters,
): Promise<withdrawFees.ReturnType> {
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iMembershipAbi,
      address: parameters.network.membership,
      functionName: 'withdrawFees',
      args: [],
    },
    parameters,
  )
  const [withdrawn] = parseEventLogs({
    abi: iMembershipAbi,
    eventName: 'FeesWithdrawn',
    logs: receipt.logs,
  })
  const { amount, owner } = withdrawn!.args
  return { amount, hash, owner: toLowerCase(owner), receipt }
}

export declare namespace withdrawFees {
  type Parameters = WriteOptions & { network: Pick<Network, 'membership'> }
  type ReturnType = WriteResult & {
    /** Wei; 0 where there were none. */
    amount: bigint
    owner: Address
  }
}
