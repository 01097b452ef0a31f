import { type Hex, size, slice } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { InvalidArgumentError } from '../errors.js'
import type { Network } from '../Network.js'

/**
 * Adds to the account's bond as an operator, and names the key of its log: the
 * first call sets it, later ones repeat it, and {@link rotateLogKey} changes it.
 *
 * @throws {ContractError} e.g. `NotListed`, `InvalidLogKey`, `NotLogKey`.
 */
export async function bondOperator(
  client: AnyClient,
  parameters: bondOperator.Parameters,
): Promise<WriteResult> {
  const { logKey, network, value } = parameters
  if (size(logKey) !== 64) {
    throw new InvalidArgumentError(`A log key is X‖Y, 64 bytes, not ${size(logKey)}.`)
  }
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'bond',
      args: [slice(logKey, 0, 32), slice(logKey, 32)],
      value,
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace bondOperator {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    /** X‖Y of the P-256 key that signs the checkpoints. */
    logKey: Hex
    /** Wei. */
    value: bigint
  }
}
