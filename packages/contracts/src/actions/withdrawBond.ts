import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Pays out what an operator asked for with {@link requestWithdrawal}.
 *
 * @throws {ContractError} e.g. `WithdrawalNotReady`, `NothingToWithdraw`.
 */
export async function withdrawBond(
  client: AnyClient,
  parameters: withdrawBond.Parameters,
): Promise<WriteResult> {
  const { network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    { abi: iSettlementAbi, address: network.settlement, functionName: 'withdraw', args: [] },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace withdrawBond {
  type Parameters = WriteOptions & { network: Pick<Network, 'settlement'> }
}

/**
 * Starts to take wei out of the account's bond. They leave when no claim on
 * them can come any more.
 */
export async function requestWithdrawal(
  client: AnyClient,
  parameters: requestWithdrawal.Parameters,
): Promise<WriteResult> {
  const { amount, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'requestWithdrawal',
      args: [amount],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace requestWithdrawal {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    /** Wei. */
    amount: bigint
  }
}
