import { parseEventLogs } from 'viem'
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
 * Pays out what disputes owe the account: rewards, its bonds that came back, parts of others' that
 * it refuted.
 *
 * @throws {ContractError} e.g. `NothingToWithdraw`.
 */
export async function withdrawCredit(
  client: AnyClient,
  parameters: withdrawCredit.Parameters,
): Promise<withdrawCredit.ReturnType> {
  const { network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    disputesCall(network, 'withdraw', []),
    parameters,
  )
  const [withdrawn] = parseEventLogs({
    abi: iDisputesAbi,
    eventName: 'Withdrawn',
    logs: receipt.logs,
  })
  return { amount: withdrawn!.args.amount, hash, receipt }
}

export declare namespace withdrawCredit {
  type Parameters = WriteOptions & { network: Pick<Network, 'disputes'> }
  type ReturnType = WriteResult & {
    /** Wei. */
    amount: bigint
  }
}
