import { type Address, type Hex, parseEventLogs } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesCall } from '../chain/disputesCall.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Slashes the operator of a challenge that nobody answered before its deadline. Anyone may send it:
 * the challenger is credited its bond and half of what the operator loses; the operator's epochs
 * that are not final are void.
 *
 * @throws {ContractError} e.g. `DeadlineNotOver`, `NotOpen`, `NotPending` (already void: refund it).
 */
export async function upholdChallenge(
  client: AnyClient,
  parameters: upholdChallenge.Parameters,
): Promise<upholdChallenge.ReturnType> {
  const { id, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    disputesCall(network, 'uphold', [id]),
    parameters,
  )
  const [upheld] = parseEventLogs({ abi: iDisputesAbi, eventName: 'Upheld', logs: receipt.logs })
  const { challenger, operator, reward } = toLowerCase(upheld!.args)
  return { challenger, hash, operator, receipt, reward }
}

export declare namespace upholdChallenge {
  type Parameters = WriteOptions & { network: Pick<Network, 'disputes'>; id: Hex }
  type ReturnType = WriteResult & {
    challenger: Address
    operator: Address
    /** Wei, without the challenger's bond. */
    reward: bigint
  }
}
