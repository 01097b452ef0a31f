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
 * Changes the key of the account's log as an operator. What the key before
 * signed with a date up to the block of this call binds the operator as long as
 * receipts live; what it signs with a later date binds nobody. So let nothing
 * be signed with it from here on: stop the node first.
 *
 * @throws {ContractError} e.g. `InvalidLogKey`.
 */
export async function rotateLogKey(
  client: AnyClient,
  parameters: rotateLogKey.Parameters,
): Promise<WriteResult> {
  const { logKey, network } = parameters
  if (size(logKey) !== 64) {
    throw new InvalidArgumentError(`A log key is X‖Y, 64 bytes, not ${size(logKey)}.`)
  }
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'rotateLogKey',
      args: [slice(logKey, 0, 32), slice(logKey, 32)],
    },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace rotateLogKey {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    /** X‖Y of the P-256 key that signs the checkpoints from now on. */
    logKey: Hex
  }
}
