import { type Hex, parseEventLogs } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesCall } from '../chain/disputesCall.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Credits the bond of an open challenge to its challenger, when the epoch was voided by another one.
 * Anyone may send it.
 *
 * @throws {ContractError} e.g. `NotVoid`, `NotOpen`.
 */
export async function refundChallenge(
  client: AnyClient,
  parameters: refundChallenge.Parameters,
): Promise<refundChallenge.ReturnType> {
  const { id, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    disputesCall(network, 'refund', [id]),
    parameters,
  )
  const [refunded] = parseEventLogs({
    abi: iDisputesAbi,
    eventName: 'Refunded',
    logs: receipt.logs,
  })
  return { bond: refunded!.args.bond, hash, receipt }
}

export declare namespace refundChallenge {
  type Parameters = WriteOptions & { network: Pick<Network, 'disputes'>; id: Hex }
  type ReturnType = WriteResult & {
    /** Wei. */
    bond: bigint
  }
}
